//! A server of S3 over a folder: `s3s` reads requests and checks their signatures, `s3s-fs` keeps the objects. What the latter
//! leaves out and Amazon's has is added: ETags in lists, conditions, and pages as short as a test wants them. And faults.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::crypto::{Checksum, Md5};
use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, ETag, ETagCondition, GetObjectInput, GetObjectOutput,
    HeadObjectInput, HeadObjectOutput, ListObjectsV2Input, ListObjectsV2Output, PutObjectInput,
    PutObjectOutput,
};
use s3s::service::S3ServiceBuilder;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::sync::Notify;

pub const BUCKET: &str = "statements";
pub const ACCESS_KEY: &str = "the-id-of-the-access-key";
pub const SECRET_KEY: &str = "the-secret-of-the-access-key";

/// Larger objects get an ETag that is not of their bytes.
const HASHED_MAX: u64 = 1024 * 1024;

#[derive(Default)]
struct Shared {
    page: AtomicI32,
    /// Whether lists have no ETags and conditions are not heeded.
    plain: bool,
    /// Operations on keys that are forbidden.
    forbidden: Mutex<HashSet<(&'static str, String)>>,
    /// What is put in the place of an object right after an operation on it was asked for.
    replaced: Mutex<Vec<(&'static str, String, Vec<u8>)>>,
    /// Told of deletions that hang.
    hanging: Mutex<Option<Arc<Notify>>>,
    asked: Mutex<Vec<(&'static str, String)>>,
}

/// The server, with one bucket.
pub struct S3Server {
    pub url: String,
    folder: PathBuf,
    shared: Arc<Shared>,
}

struct Bank {
    objects: FileSystem,
    folder: PathBuf,
    shared: Arc<Shared>,
}

impl S3Server {
    /// Starts it over an empty folder, with pages of `page` objects.
    pub async fn start(name: &str, page: i32) -> Self {
        Self::starting(name, page, false).await
    }

    /// One that leaves out what not every store has: ETags in lists, and conditions.
    pub async fn plain(name: &str) -> Self {
        Self::starting(name, 1_000, true).await
    }

    async fn starting(name: &str, page: i32, plain: bool) -> Self {
        let folder =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("s3-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join(BUCKET)).unwrap();
        let shared = Arc::new(Shared { page: AtomicI32::new(page), plain, ..Shared::default() });
        let objects = FileSystem::new(&folder).unwrap();
        let bank = Bank { objects, folder: folder.clone(), shared: Arc::clone(&shared) };
        let mut builder = S3ServiceBuilder::new(bank);
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = builder.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    let http = Builder::new(TokioExecutor::new());
                    let _ = http.serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        Self { url, folder, shared }
    }

    /// The same where nobody answers.
    pub fn gone(self) -> Self {
        Self { url: "http://127.0.0.1:1".to_owned(), ..self }
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(BUCKET).join(key)
    }

    /// Puts an object there.
    pub fn put(&self, key: &str, bytes: impl AsRef<[u8]>) {
        std::fs::create_dir_all(self.path(key).parent().unwrap()).unwrap();
        std::fs::write(self.path(key), bytes).unwrap();
    }

    /// Puts an object of so many bytes there.
    pub fn put_large(&self, key: &str, bytes: u64) {
        self.put(key, "");
        std::fs::File::options().write(true).open(self.path(key)).unwrap().set_len(bytes).unwrap();
    }

    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        std::fs::read(self.path(key)).ok()
    }

    /// The keys of all objects, in their order.
    pub fn keys(&self) -> Vec<String> {
        let (root, mut waiting, mut keys) = (self.path(""), vec![self.path("")], Vec::new());
        while let Some(folder) = waiting.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    waiting.push(path);
                } else {
                    keys.push(path.strip_prefix(&root).unwrap().display().to_string());
                }
            }
        }
        keys.sort();
        keys
    }

    /// Forbids an operation on an object.
    pub fn forbid(&self, operation: &'static str, key: &str) {
        self.shared.forbidden.lock().unwrap().insert((operation, key.to_owned()));
    }

    /// Allows everything again.
    pub fn allow(&self) {
        self.shared.forbidden.lock().unwrap().clear();
    }

    /// Puts other bytes in the place of an object, right before the operation on it is done that comes next.
    pub fn replace_before(&self, operation: &'static str, key: &str, bytes: impl AsRef<[u8]>) {
        self.shared.replaced.lock().unwrap().push((operation, key.to_owned(), bytes.as_ref().to_vec()));
    }

    /// Lets deletions hang, and tells of each.
    pub fn hang_at_deletions(&self) -> Arc<Notify> {
        let hanging = Arc::new(Notify::new());
        *self.shared.hanging.lock().unwrap() = Some(Arc::clone(&hanging));
        hanging
    }

    /// Lets them hang no more.
    pub fn delete_again(&self) {
        *self.shared.hanging.lock().unwrap() = None;
    }

    /// How often an operation was asked for since this was asked last.
    pub fn asked(&self, operation: &str) -> usize {
        let mut asked = self.shared.asked.lock().unwrap();
        let before = asked.len();
        asked.retain(|(name, _)| *name != operation);
        before - asked.len()
    }
}

impl Bank {
    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(BUCKET).join(key)
    }

    fn begin(&self, operation: &'static str, key: &str) -> S3Result<()> {
        self.shared.asked.lock().unwrap().push((operation, key.to_owned()));
        if self.shared.forbidden.lock().unwrap().contains(&(operation, key.to_owned())) {
            return Err(s3_error!(AccessDenied));
        }
        let mut replaced = self.shared.replaced.lock().unwrap();
        if let Some(at) = replaced.iter().position(|(of, name, _)| *of == operation && name == key) {
            std::fs::write(self.path(key), replaced.remove(at).2).unwrap();
        }
        Ok(())
    }

    fn tag(&self, key: &str) -> Option<ETag> {
        let path = self.path(key);
        if std::fs::metadata(&path).ok()?.len() > HASHED_MAX {
            return Some(ETag::Strong("large".to_owned()));
        }
        let digest = Md5::checksum(&std::fs::read(path).ok()?);
        Some(ETag::Strong(digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// Whether the object is as a request says that it has to be.
    fn check(&self, key: &str, condition: Option<&ETagCondition>) -> S3Result<()> {
        match condition {
            Some(ETagCondition::ETag(wanted)) if !self.shared.plain => match self.tag(key) {
                Some(tag) if tag.strong_cmp(wanted) => Ok(()),
                _ => Err(s3_error!(PreconditionFailed)),
            },
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl S3 for Bank {
    async fn list_objects_v2(
        &self,
        mut request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        self.begin("list", "")?;
        request.input.max_keys = Some(self.shared.page.load(Ordering::Relaxed));
        let mut answer = self.objects.list_objects_v2(request).await?;
        if !self.shared.plain {
            for object in answer.output.contents.iter_mut().flatten() {
                object.e_tag = object.key.as_deref().and_then(|key| self.tag(key));
            }
        }
        Ok(answer)
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let key = request.input.key.clone();
        self.begin("get", &key)?;
        self.check(&key, request.input.if_match.as_ref())?;
        let mut answer = self.objects.get_object(request).await?;
        answer.output.e_tag = self.tag(&key);
        Ok(answer)
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let key = request.input.key.clone();
        self.begin("head", &key)?;
        let mut answer = self.objects.head_object(request).await?;
        answer.output.e_tag = self.tag(&key);
        Ok(answer)
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        self.begin("put", &request.input.key)?;
        self.objects.put_object(request).await
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let hanging = self.shared.hanging.lock().unwrap().clone();
        if let Some(hanging) = hanging {
            hanging.notify_one();
            std::future::pending::<()>().await;
        }
        let key = request.input.key.clone();
        self.begin("delete", &key)?;
        self.check(&key, request.input.if_match.as_ref())?;
        self.objects.delete_object(request).await
    }
}

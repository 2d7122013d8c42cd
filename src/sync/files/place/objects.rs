//! The objects of a bucket: listed, read as they were listed, and moved or deleted only while they are those.

use std::sync::Arc;

use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{Error, GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload};

use super::azure::Blobs;
use super::bucket::{Bucket, BucketOf};
use super::condition::only_if;
use super::store_error::{failed, is_unknown, status, told};
use super::{AfterTaking, Listed, ListedPage, PlaceError, TOO_MANY, free_names};

/// A store whose objects are listed page by page.
pub trait Store: ObjectStore + PaginatedListStore {}

impl<T: ObjectStore + PaginatedListStore> Store for T {}

/// A bucket that can be asked.
pub struct OpenBucket {
    store: Arc<dyn Store>,
    /// What deletes, at Azure.
    blobs: Option<Blobs>,
    bucket: Bucket,
}

impl OpenBucket {
    /// The objects of `bucket`, as `store` knows them.
    pub fn new(store: Arc<dyn Store>, blobs: Option<Blobs>, bucket: Bucket) -> Self {
        Self { store, blobs, bucket }
    }

    /// A page of the objects below the prefix.
    pub async fn list(&self, from: Option<String>) -> Result<ListedPage, PlaceError> {
        let prefix = &self.bucket.prefix;
        let options = PaginatedListOptions {
            delimiter: Some("/".into()),
            page_token: from,
            ..PaginatedListOptions::default()
        };
        let asked = self.store.list_paginated((!prefix.is_empty()).then_some(prefix), options);
        let page = asked.await.map_err(|error| self.unlisted(&error))?;
        let named = page.result.objects.iter().filter_map(|object| {
            let name = object.location.as_ref().strip_prefix(prefix.as_str())?;
            let listed = Listed { name: name.to_owned(), size: object.size, version: version(object) };
            (!name.is_empty() && !name.contains('/')).then_some(listed)
        });
        Ok(ListedPage { files: named.collect(), next: page.page_token })
    }

    fn unlisted(&self, error: &Error) -> PlaceError {
        let (what, right) = match self.bucket.of {
            BucketOf::S3 { .. } => ("bucket", "s3:ListBucket"),
            BucketOf::Gcs { .. } => ("bucket", "storage.objects.list"),
            BucketOf::Azure { .. } => ("container", "Storage Blob Data Reader"),
        };
        let todo = match (error, status(error).as_deref()) {
            (Error::InvalidPath { .. }, _) => "rename or delete the object of this name".to_owned(),
            (_, Some("404")) => format!("write the name of a {what} that is there"),
            (_, Some("401" | "403")) => format!("look at the keys, and allow them {right}"),
            _ => "look at its region, its endpoint and the network".to_owned(),
        };
        PlaceError::Gone(format!("{} cannot be listed ({}): {todo}", self.bucket.name(), told(error)))
    }

    fn path(&self, name: &str) -> Result<Path, PlaceError> {
        // as it is: `Path::from` would write some characters otherwise
        Path::parse(format!("{}{name}", self.bucket.prefix))
            .map_err(|error| PlaceError::File(format!("no object can be called so: {error}")))
    }

    /// The bytes of an object, of the version that was listed; `None` where it is another by now.
    pub async fn read(&self, listed: &Listed) -> Result<Option<Vec<u8>>, PlaceError> {
        let path = self.path(&listed.name)?;
        let options = GetOptions { if_match: tag(&listed.version), ..GetOptions::default() };
        let got = match self.store.get_opts(&path, options).await {
            Ok(got) if is_listed(&got.meta, listed) => got,
            // not every store heeds the condition
            Ok(_) | Err(Error::NotFound { .. } | Error::Precondition { .. }) => return Ok(None),
            Err(error) => return Err(failed(&error)),
        };
        let bytes = got.bytes().await.map_err(|error| failed(&error))?;
        if bytes.len() as u64 != listed.size {
            return Err(PlaceError::File(format!(
                "is {} bytes as it is listed, and {} came: store it without a Content-Encoding",
                listed.size,
                bytes.len()
            )));
        }
        Ok(Some(bytes.into()))
    }

    /// Does with an object that was taken what is to be done, if it is still the one that was listed.
    pub async fn finish(&self, listed: &Listed, after: &AfterTaking) -> Result<(), PlaceError> {
        let path = self.path(&listed.name)?;
        match after {
            AfterTaking::Leave => Ok(()),
            AfterTaking::Delete => self.delete(&path, listed).await,
            AfterTaking::Move(folder) => match self.read(listed).await? {
                Some(bytes) => {
                    self.put_into(folder, listed, bytes).await?;
                    self.delete(&path, listed).await
                }
                None => Ok(()),
            },
        }
    }

    /// Puts the bytes into the folder, over nothing that is there. Nothing is to be done where an earlier try came as far.
    async fn put_into(&self, folder: &str, listed: &Listed, bytes: Vec<u8>) -> Result<(), PlaceError> {
        let payload = PutPayload::from(bytes.clone());
        for name in free_names(&listed.name) {
            let to = self.path(&format!("{folder}/{name}"))?;
            match self.holds(&to, &bytes).await? {
                Some(true) => return Ok(()),
                Some(false) => continue,
                None => {}
            }
            let put = match self.store.put_opts(&to, payload.clone(), PutMode::Create.into()).await {
                Err(error) if is_unknown(&error) => self.store.put(&to, payload.clone()).await,
                put => put,
            };
            match put {
                Ok(_) => return Ok(()),
                Err(Error::AlreadyExists { .. }) => {}
                Err(error) => return Err(failed(&error)),
            }
        }
        Err(PlaceError::File(TOO_MANY.to_owned()))
    }

    /// Whether the object is of these bytes; `None` where there is none.
    async fn holds(&self, path: &Path, bytes: &[u8]) -> Result<Option<bool>, PlaceError> {
        let there = match self.store.head(path).await {
            Ok(there) if there.size != bytes.len() as u64 => return Ok(Some(false)),
            Ok(_) => self.store.get(path).await,
            Err(error) => Err(error),
        };
        match there {
            Ok(there) => Ok(Some(there.bytes().await.map_err(|error| failed(&error))? == bytes)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(&error)),
        }
    }

    /// Deletes the object if it is the one that was listed. Stores that know conditions let nothing come between.
    async fn delete(&self, path: &Path, listed: &Listed) -> Result<(), PlaceError> {
        let there = match self.store.head(path).await {
            Ok(there) if is_listed(&there, listed) => there,
            Ok(_) | Err(Error::NotFound { .. }) => return Ok(()),
            Err(error) => return Err(failed(&error)),
        };
        if let Some(blobs) = &self.blobs {
            return blobs.delete(path, there.e_tag.as_deref()).await;
        }
        let condition = match self.bucket.of {
            BucketOf::S3 { .. } => there.e_tag.as_deref().map(|tag| ("if-match", tag)),
            BucketOf::Gcs { .. } => {
                there.version.as_deref().map(|generation| ("x-goog-if-generation-match", generation))
            }
            BucketOf::Azure { .. } => None,
        };
        let deleted = match condition {
            Some((header, value)) => match only_if(header, value, self.store.delete(path)).await {
                Err(error) if is_unknown(&error) => self.store.delete(path).await,
                deleted => deleted,
            },
            None => self.store.delete(path).await,
        };
        match deleted {
            Ok(()) | Err(Error::NotFound { .. } | Error::Precondition { .. }) => Ok(()),
            Err(error) => Err(failed(&error)),
        }
    }
}

/// What stands before a version that is an ETag.
const TAGGED: &str = "etag ";

/// What changes when the object does: its ETag, else when it was last changed; and its size.
fn version(object: &ObjectMeta) -> String {
    match &object.e_tag {
        Some(tag) => format!("{TAGGED}{tag} of {} bytes", object.size),
        None => format!("{} bytes, {}", object.size, object.last_modified.timestamp()),
    }
}

/// The ETag within a version, as a header has it.
fn tag(version: &str) -> Option<String> {
    let (tag, _) = version.strip_prefix(TAGGED)?.rsplit_once(" of ")?;
    // Azure leaves out the quotes in its lists
    Some(if tag.ends_with('"') { tag.to_owned() } else { format!("\"{tag}\"") })
}

/// Whether `object`, as an answer has it, is of the version that was listed.
fn is_listed(object: &ObjectMeta, listed: &Listed) -> bool {
    let same = match tag(&listed.version) {
        Some(wanted) => tag(&version(object)).is_some_and(|tag| tag == wanted),
        None => version(&ObjectMeta { e_tag: None, ..object.clone() }) == listed.version,
    };
    same && object.size == listed.size
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(e_tag: Option<&str>, size: u64, seconds: i64) -> ObjectMeta {
        ObjectMeta {
            location: Path::from("in/a.xml"),
            last_modified: chrono::DateTime::from_timestamp(seconds, 5_000_000).unwrap(),
            size,
            e_tag: e_tag.map(str::to_owned),
            version: None,
        }
    }

    #[test]
    fn an_object_is_the_one_that_was_listed_by_its_etag_and_else_by_its_time() {
        let listed =
            |object: &ObjectMeta| Listed { name: String::new(), size: object.size, version: version(object) };
        let (tagged, untagged) = (object(Some("\"a\""), 5, 7), object(None, 5, 7));
        for (listing, answer, same) in [
            (&tagged, object(Some("\"a\""), 5, 8), true),
            (&tagged, object(Some("\"b\""), 5, 7), false),
            (&tagged, object(Some("\"a\""), 6, 7), false),
            (&tagged, object(None, 5, 7), false),
            (&object(Some("0x8D"), 5, 7), object(Some("\"0x8D\""), 5, 7), true),
            (&untagged, object(Some("\"a\""), 5, 7), true),
            (&untagged, object(None, 5, 8), false),
        ] {
            assert_eq!(is_listed(&answer, &listed(listing)), same, "{listing:?} {answer:?}");
        }
        assert_eq!(tag(&version(&tagged)).as_deref(), Some("\"a\""));
        assert_eq!(tag(&version(&untagged)), None);
    }
}

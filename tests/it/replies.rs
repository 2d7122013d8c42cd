//! S14: what a network does to replies. Whatever is cut, held back or swallowed, Formance gets
//! an error that it tries again after, and never a shorter page that it would take for the end.

use std::time::Duration;

use reqwest::StatusCode;
use tokio::process::Child;
use tributary_formance::Kind;

use crate::support::process::{Place, stop};
use crate::support::proxy::{Fault, Proxy, report};
use crate::support::{Consumer, Loop, TestApp, records};

/// Two instances of the real program on one database, each behind a proxy of its own.
struct Instances {
    app: TestApp,
    servers: Vec<Child>,
    addresses: Vec<String>,
    proxies: Vec<Proxy>,
    _place: Place,
}

impl Instances {
    async fn new(name: &str, rows: usize) -> Self {
        let app = TestApp::new().await;
        app.push("transactions", &records::transactions("t", rows)).await;
        app.publish_all().await;
        let place = Place::new(name);
        let (mut servers, mut addresses, mut proxies) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..2 {
            let (server, address) = place.serve(Some(&app.url)).await;
            proxies.push(Proxy::to(&address).await);
            servers.push(server);
            addresses.push(address);
        }
        Self { app, servers, addresses, proxies, _place: place }
    }

    /// One request for a page of 100, read to the end of the reply.
    async fn page(&self, http: &reqwest::Client, address: &str, page: usize) -> reqwest::Result<Vec<u8>> {
        let url = format!("http://{address}/transactions?page={page}&pageSize=100&sort=updatedAt%3Aasc");
        let response = http.get(url).bearer_auth(&self.app.connector_key).send().await?;
        assert_eq!(response.status(), StatusCode::OK);
        Ok(response.bytes().await?.into())
    }

    async fn stop(self) {
        drop(self.proxies);
        for server in self.servers {
            stop(server).await;
        }
    }
}

/// Clients that take replies as they are, and compressed as Go's does.
fn clients() -> [reqwest::Client; 2] {
    rustls::crypto::ring::default_provider().install_default().ok();
    let builder = || reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20));
    [builder().no_gzip().build().unwrap(), builder().gzip(true).build().unwrap()]
}

/// Where to cut a reply: in its head, right behind it, and all over the body, above all where
/// what came so far is a whole number of rows.
fn cuts(reply: &[u8]) -> Vec<usize> {
    let head = 4 + reply.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a whole head");
    let mut cuts = vec![0, 1, 20, head - 4, head - 1, head, head + 1, head + 2];
    let row_ends = (head..reply.len() - 1).filter(|at| reply[*at..].starts_with(b"},{\""));
    cuts.extend(row_ends.flat_map(|at| [at + 1, at + 2]).step_by(15));
    cuts.extend((head..reply.len()).step_by(reply.len() / 12));
    // behind the last row; within the last chunk, where the whole page is there already
    cuts.extend([reply.len() - 6, reply.len() - 5, reply.len() - 2, reply.len() - 1]);
    cuts
}

#[tokio::test]
async fn s14_a_reply_cut_anywhere_is_an_error_and_the_retry_gets_the_page_byte_by_byte() {
    let instances = Instances::new("cut_replies", 250).await;
    let proxy = &instances.proxies[0];
    let mut cut_behind_rows = 0;
    for http in clients() {
        for page in 1..=3 {
            let whole = instances.page(&http, &instances.addresses[0], page).await.unwrap();
            assert_eq!(instances.page(&http, proxy.address(), page).await.unwrap(), whole);
            let reply = proxy.last_reply();
            for after in cuts(&reply) {
                cut_behind_rows += u64::from(reply[..after].ends_with(b"}"));
                for fault in [Fault::Reset { after }, Fault::Close { after }, Fault::HalfClose { after }] {
                    proxy.next("GET /transactions", fault);
                    let got = instances.page(&http, proxy.address(), page).await;
                    assert!(got.is_err(), "page {page}, {fault:?} of {}: taken for whole", reply.len());
                    // whoever is asked again, the answer is the same
                    let again = instances.page(&http, proxy.address(), page).await.unwrap();
                    assert_eq!(again, whole, "page {page} again after {fault:?}");
                }
            }
            assert_eq!(instances.page(&http, &instances.addresses[1], page).await.unwrap(), whole);
        }
    }
    let mut fired = proxy.all_fired();
    fired.push(("cut_behind_a_whole_row", cut_behind_rows));
    report(fired);
    instances.stop().await;
}

#[tokio::test]
async fn s14_an_end_of_the_clients_direction_brings_an_error_or_the_whole_page() {
    let instances = Instances::new("half_closed", 250).await;
    let proxy = &instances.proxies[0];
    for http in clients() {
        let whole = instances.page(&http, &instances.addresses[0], 1).await.unwrap();
        for _ in 0..10 {
            proxy.next("GET /transactions", Fault::HalfCloseRequest);
            if let Ok(body) = instances.page(&http, proxy.address(), 1).await {
                assert_eq!(body, whole);
            }
        }
    }
    report(proxy.all_fired());
    instances.stop().await;
}

/// A consumer on a network that breaks half of its requests. Whichever instance it was at, it
/// goes on at the other one.
struct Poller {
    consumer: Consumer,
    proxies: Vec<Proxy>,
    attempts: usize,
    failed: u64,
}

impl Poller {
    async fn new(instances: &Instances, form: Loop, seed: u64) -> Self {
        let faults = [
            Fault::Delay(Duration::from_millis(30)),
            Fault::Reset { after: 400 },
            Fault::Close { after: 0 },
            Fault::Close { after: 300 },
            Fault::HalfClose { after: 200 },
            Fault::HalfCloseRequest,
            Fault::Hang { after: 100 },
            Fault::BlackHole,
            Fault::Refuse,
        ];
        let mut proxies = Vec::new();
        for (address, seed) in instances.addresses.iter().zip(seed..) {
            let proxy = Proxy::to(address).await;
            proxy.now_and_then(seed, "GET /transactions", 2, &faults);
            proxies.push(proxy);
        }
        let consumer = Consumer::at("", &instances.app.connector_key, Kind::Transactions, form);
        Self { consumer, proxies, attempts: 0, failed: 0 }
    }

    async fn attempt(&mut self, key: &str) {
        let endpoint = format!("http://{}", self.proxies[self.attempts % 2].address());
        self.consumer.move_to_within(&endpoint, key, Duration::from_millis(250));
        self.failed += u64::from(!self.consumer.try_poll().await);
        self.attempts += 1;
    }
}

#[tokio::test]
async fn s14_both_loops_get_every_version_once_through_a_network_that_breaks_replies() {
    let instances = Instances::new("broken_network", 250).await;
    let (app, key) = (&instances.app, &instances.app.connector_key);
    let mut released = Poller::new(&instances, Loop::Released, 140).await;
    let mut en1095 = Poller::new(&instances, Loop::En1095, 150).await;
    for round in 0..50 {
        if round % 5 == 0 {
            app.push("transactions", &records::transactions(&format!("r{round}_"), 40)).await;
            app.publish_all().await;
        }
        tokio::join!(released.attempt(key), en1095.attempt(key));
    }
    let mut fired = Vec::new();
    for poller in [&mut released, &mut en1095] {
        poller.consumer.move_to(&format!("http://{}", instances.addresses[0]), key);
        poller.consumer.poll().await;
        poller.consumer.check(app).await;
        assert_eq!(poller.consumer.rows.len(), 250 + 10 * 40);
        fired.push(("failed_poll", poller.failed));
        fired.extend(poller.proxies.iter().flat_map(Proxy::all_fired));
    }
    report(fired);
    drop((released, en1095));
    instances.stop().await;
}

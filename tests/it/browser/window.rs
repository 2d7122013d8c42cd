//! A window of a real Chromium, driven by ChromeDriver, and what it sees of a page.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// How long a page may take to show what is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a window looks at pages.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    pub name: &'static str,
    /// As the system prefers it: `light` or `dark`.
    pub scheme: &'static str,
    /// In CSS pixels.
    pub size: (u32, u32),
    pub with_script: bool,
}

pub const LIGHT: Look = Look { name: "light", scheme: "light", size: (1280, 900), with_script: true };
pub const DARK: Look = Look { name: "dark", scheme: "dark", ..LIGHT };
pub const PHONE: Look = Look { name: "phone", size: (390, 844), ..LIGHT };
pub const WITHOUT_SCRIPT: Look = Look { name: "plain", with_script: false, ..LIGHT };

/// The driver, which ends with this, and its windows with it.
pub struct Driver {
    _running: Child,
    url: String,
}

impl Driver {
    /// Starts ChromeDriver on a port of its choice.
    pub async fn start() -> Self {
        let mut running = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("ChromeDriver is installed: `make browser` sees to that");
        let mut lines = BufReader::new(running.stdout.take().unwrap()).lines();
        let started = regex::Regex::new(r"started successfully on port (\d+)").unwrap();
        let port = async {
            loop {
                let line = lines.next_line().await.unwrap().expect("ChromeDriver says its port");
                if let Some(found) = started.captures(&line) {
                    return found[1].to_owned();
                }
            }
        };
        let port = tokio::time::timeout(PATIENCE, port).await.expect("ChromeDriver starts");
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { _running: running, url: format!("http://127.0.0.1:{port}") }
    }

    /// Opens a window with an empty profile, before the console at `origin`.
    pub async fn window(&self, origin: &str, look: Look) -> Window {
        let (width, height) = look.size;
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
        ];
        let size = format!("--window-size={width},{height}");
        let arguments: Vec<&str> = arguments.into_iter().chain([size.as_str()]).collect();
        let capabilities = json!({
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        });
        let Value::Object(capabilities) = capabilities else { unreachable!("it is written above") };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&self.url)
            .await
            .expect("Chromium opens a window");
        let window = Window { client, origin: origin.to_owned(), look };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": look.scheme}]});
        window.devtools("Emulation.setEmulatedMedia", media).await;
        let phone = width < 600;
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone});
        window.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        let off = json!({"value": !look.with_script});
        window.devtools("Emulation.setScriptExecutionDisabled", off).await;
        window
    }
}

/// What ChromeDriver knows beyond WebDriver: a command of Chromium's own, and its logs.
#[derive(Debug)]
struct Extension {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &url::Url) -> (axum::http::Method, Option<String>) {
        (axum::http::Method::POST, Some(self.body.to_string()))
    }
}

/// One person's window.
pub struct Window {
    client: Client,
    pub origin: String,
    pub look: Look,
}

impl Window {
    async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({"cmd": command, "params": parameters});
        self.client.issue_cmd(Extension { path: "goog/cdp/execute", body }).await.expect(command)
    }

    /// Goes to a page of the console.
    pub async fn go(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.origin)).await.expect(path);
    }

    /// Signs in by a key, at the form.
    pub async fn sign_in(&self, key: &str) {
        self.go("/console/sign-in").await;
        self.write("key", key).await;
        self.press("Sign in").await;
        self.until("Overview").await;
    }

    /// Writes into the field of this name.
    pub async fn write(&self, field: &str, text: &str) {
        let field = self.client.find(Locator::Css(&format!("[name=\"{field}\"]"))).await.expect(field);
        field.clear().await.ok();
        field.send_keys(text).await.unwrap();
    }

    /// Presses the first button with this text, or what looks like one.
    pub async fn press(&self, text: &str) {
        self.click(&format!("//main//*[self::button or self::a][normalize-space()=\"{text}\"]")).await;
    }

    /// Presses the button with this text above the page.
    pub async fn press_in_head(&self, text: &str) {
        self.click(&format!("//header//button[normalize-space()=\"{text}\"]")).await;
    }

    /// Follows the first link with this text.
    pub async fn follow(&self, text: &str) {
        self.click(&format!("//a[normalize-space()=\"{text}\"]")).await;
    }

    /// Clicks what an XPath finds first.
    pub async fn click(&self, path: &str) {
        let found = self.client.find(Locator::XPath(path)).await;
        match found {
            Ok(found) => found.click().await.expect(path),
            Err(error) => panic!("{path}: {error}\n{}", self.text().await),
        }
    }

    /// What somebody can read on the page.
    pub async fn text(&self) -> String {
        self.client.find(Locator::Css("body")).await.unwrap().text().await.unwrap()
    }

    /// Waits until the page says `wanted`, without loading it anew: it does that itself.
    pub async fn until(&self, wanted: &str) -> String {
        self.wait_for(wanted, false).await
    }

    /// As [`Window::until`], loading the page anew until it does.
    pub async fn reload_until(&self, wanted: &str) -> String {
        self.wait_for(wanted, true).await
    }

    async fn wait_for(&self, wanted: &str, reloading: bool) -> String {
        let waited = async {
            loop {
                // a page that is being replaced has no text
                let text = match self.client.find(Locator::Css("body")).await {
                    Ok(body) => body.text().await.unwrap_or_default(),
                    Err(_) => String::new(),
                };
                if text.contains(wanted) {
                    return text;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
                if reloading {
                    self.client.refresh().await.unwrap();
                }
            }
        };
        match tokio::time::timeout(PATIENCE, waited).await {
            Ok(text) => text,
            Err(_) => panic!("waited for {wanted:?}:\n{}", self.text().await),
        }
    }

    /// What axe-core finds wrong: of each rule, where.
    pub async fn barriers(&self) -> Vec<String> {
        let axe = std::fs::read_to_string(axe()).expect("axe-core is installed: `make browser` sees to that");
        self.client.execute(&axe, Vec::new()).await.unwrap();
        let run = "const done = arguments[arguments.length - 1];
            axe.run(document, { resultTypes: ['violations', 'passes'] }).then(
              (found) => done(found),
              (error) => done({ passes: [], violations: [{ id: String(error), nodes: [] }] }));";
        let found = self.client.execute_async(run, Vec::new()).await.unwrap();
        let has = |what: &str| found[what].as_array().expect("axe-core gives a list").clone();
        let (passed, found) = (has("passes"), has("violations"));
        assert!(passed.len() > 10 || !found.is_empty(), "axe-core looked: {} rules passed", passed.len());
        let at = |rule: &Value| -> Vec<String> {
            let nodes = rule["nodes"].as_array().into_iter().flatten();
            nodes.map(|node| format!("{} {}", node["html"], node["failureSummary"])).collect()
        };
        found.iter().map(|rule| format!("{}: {}", rule["id"], at(rule).join("\n  "))).collect()
    }

    /// By how many pixels the page is wider than the window.
    pub async fn overflow(&self) -> i64 {
        let script = "return document.documentElement.scrollWidth - window.innerWidth;";
        self.client.execute(script, Vec::new()).await.unwrap().as_i64().unwrap()
    }

    /// Writes a picture of the whole page into the target folder.
    pub async fn photograph(&self, name: &str) {
        let metrics = self.devtools("Page.getLayoutMetrics", json!({})).await;
        let height = metrics["cssContentSize"]["height"].as_f64().unwrap().clamp(400.0, 2400.0);
        let clip = json!({"x": 0, "y": 0, "width": self.look.size.0, "height": height, "scale": 1});
        let parameters = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let picture = self.devtools("Page.captureScreenshot", parameters).await;
        let bytes = STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screens");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{name}-{}.png", self.look.name)), bytes).unwrap();
    }

    async fn log(&self, kind: &str) -> Vec<Value> {
        let log = self.client.issue_cmd(Extension { path: "se/log", body: json!({"type": kind}) }).await;
        log.unwrap().as_array().unwrap().clone()
    }

    /// Holds that nothing was asked of another origin, and that Chromium had nothing to complain about.
    pub async fn assert_kept_to_itself(&self) {
        let log = self.log("browser").await;
        // what is less than a warning is advice
        let serious = log.iter().filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING");
        let complaints: Vec<_> = serious.map(|entry| &entry["message"]).collect();
        assert!(complaints.is_empty(), "{}: {complaints:?}", self.look.name);
        let mut asked = 0;
        for entry in self.log("performance").await {
            let event: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
            if event["message"]["method"] != "Network.requestWillBeSent" {
                continue;
            }
            let url = event["message"]["params"]["request"]["url"].as_str().unwrap().to_owned();
            asked += 1;
            let own = url.starts_with(&format!("{}/", self.origin)) || url.starts_with("data:");
            assert!(own, "{}: {url} was asked for", self.look.name);
        }
        assert!(asked > 0, "{}: nothing was asked for at all", self.look.name);
    }

    /// Closes it.
    pub async fn close(self) {
        self.client.close().await.unwrap();
    }
}

/// Where `make browser` puts packages of npm.
pub fn node_modules() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("tools/browser/node_modules")
}

fn axe() -> PathBuf {
    node_modules().join("axe-core/axe.min.js")
}

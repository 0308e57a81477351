//! Pages in a real browser: forms, the button that copies, the keyboard, small screens, contrast.
//!
//! Chromium is driven over a pipe by its remote protocol. It is looked for under the names that
//! distributions give it, or as `CHROMIUM` says; where there is none these checks do not run, and
//! `./dev test` says so.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::harness::{Directory, TestDatabase, network_days, value};

/// Longer than any of these checks takes on a slow machine.
const LIMIT: Duration = Duration::from_mins(2);

/// The browser that is installed; `None`, said on standard error, where there is none.
fn chromium() -> Option<PathBuf> {
    let chosen = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let found = || {
        std::env::split_paths(&path).flat_map(|place| names.map(|name| place.join(name))).find(|file| file.is_file())
    };
    let browser = chosen.or_else(found);
    if browser.is_none() {
        eprintln!("browser check not run: no Chromium on PATH, and CHROMIUM unset");
    }
    browser
}

/// A browser with one page.
struct Browser {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    session: Value,
    number: u64,
    /// What the page or its policy complained of.
    complaints: Vec<String>,
    _profile: Directory,
}

impl Browser {
    async fn start(program: PathBuf, name: &str) -> Self {
        let profile = Directory::new(&format!("browser-{name}"));
        // It reads commands from descriptor 3 and writes answers to 4.
        let script = r#"exec "$0" "$@" 3<&0 4>&1 < /dev/null > /dev/null 2>&1"#;
        let mut command = Command::new("sh");
        command.args(["-c", script]).arg(program).args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--remote-debugging-pipe",
        ]);
        command.arg(format!("--user-data-dir={}", profile.0.display()));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let (commands, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut browser = Self {
            child,
            commands,
            answers,
            session: Value::Null,
            number: 0,
            complaints: Vec::new(),
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"})).await["targetId"].clone();
        let attach = json!({"targetId": target, "flatten": true});
        browser.session = browser.call("Target.attachToTarget", attach).await["sessionId"].clone();
        for domain in ["Page", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({})).await;
        }
        browser
    }

    /// Sends a command and gives its result.
    async fn call(&mut self, method: &str, params: Value) -> Value {
        self.number += 1;
        let mut command = json!({"id": self.number, "method": method, "params": params});
        if !self.session.is_null() {
            command["sessionId"] = self.session.clone();
        }
        self.commands.write_all(format!("{command}\0").as_bytes()).await.unwrap();
        let number = self.number;
        let mut answer = self.wait_for(|message| message["id"] == number).await;
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].take()
    }

    async fn wait_for(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        loop {
            let mut bytes = Vec::new();
            let count = self.answers.read_until(0, &mut bytes).await.unwrap();
            assert!(count > 0, "the browser ended");
            let message: Value = serde_json::from_slice(bytes.strip_suffix(b"\0").unwrap_or(&bytes)).unwrap();
            let is_complaint = match message["method"].as_str() {
                Some("Runtime.exceptionThrown") => true,
                Some("Log.entryAdded") => message["params"]["entry"]["level"] == "error",
                _ => false,
            };
            // That a page of 400 is one of 400 is no complaint, nor that there is no icon.
            let expected = message["params"]["entry"]["source"] == "network";
            if is_complaint && !expected {
                self.complaints.push(message["params"].to_string());
            }
            if is_it(&message) {
                return message;
            }
        }
    }

    async fn open(&mut self, address: &str) {
        self.call("Page.navigate", json!({"url": address})).await;
        self.loaded().await;
    }

    async fn loaded(&mut self) {
        self.wait_for(|message| message["method"] == "Page.loadEventFired").await;
    }

    /// The value of an expression in the page, as of a person's click.
    async fn value(&mut self, expression: &str) -> Value {
        let params =
            json!({"expression": expression, "returnByValue": true, "awaitPromise": true, "userGesture": true});
        let mut answer = self.call("Runtime.evaluate", params).await;
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].take()
    }

    async fn text(&mut self, expression: &str) -> String {
        self.value(expression).await.as_str().unwrap_or_default().to_owned()
    }

    async fn resize(&mut self, width: u32, dark: bool) {
        let metrics = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", metrics).await;
        let scheme = if dark { "dark" } else { "light" };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", features).await;
    }

    async fn press(&mut self, key: &str) {
        for kind in ["keyDown", "keyUp"] {
            let code = if key == "Tab" { 9 } else { 13 };
            let params = json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": if key == "Enter" { "\r" } else { "" }});
            self.call("Input.dispatchKeyEvent", params).await;
        }
    }

    async fn stop(mut self) {
        assert!(self.complaints.is_empty(), "{:?}", self.complaints);
        self.child.kill().await.unwrap();
    }
}

/// Forty days, one of which became another value in March.
async fn served() -> (TestDatabase, String) {
    let database = TestDatabase::new().await;
    database.append(&network_days("2020-01-01", 40)).await;
    database.append(&[value("price_usd", "coinmetrics", "2020-01-10", 123_456.5, Some("2020-03-01"))]).await;
    let address = database.api().await.serve();
    (database, address)
}

/// Chooses a range and a moment as a reader does, and submits.
const CHOOSE: &str = r#"
    const form = document.querySelector("form.picker");
    const type = (name, text) => {
        form.elements[name].value = text;
        form.elements[name].dispatchEvent(new Event("input", { bubbles: true }));
    };
    type("start", "2020-01-05");
    type("end", "2020-01-12");
    type("as_of", "2020-02-01T12:30:15");
    form.requestSubmit();
"#;

async fn range_moment_and_copying(program: PathBuf) {
    let (_database, address) = served().await;
    let mut browser = Browser::start(program, "copying").await;
    let permissions = json!({"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"], "origin": address});
    browser.call("Browser.grantPermissions", permissions).await;
    browser.open(&format!("{address}/docs/metrics/price_usd?range=all")).await;
    let table = r#"document.getElementById("table").innerText"#;
    assert!(browser.text(table).await.contains("2020-02-09"), "the newest rows");

    browser.value(CHOOSE).await;
    browser.loaded().await;
    let search = browser.text("decodeURIComponent(location.search)").await;
    assert_eq!(search, "?range=custom&start=2020-01-05&end=2020-01-12&as_of=2020-02-01T12:30:15");
    let rows = browser.text(table).await;
    // 50,000 + 300 * (9 - 8) + 9, as was known then; the other value was not.
    assert!(rows.contains("2020-01-10\t50309\t2020-01-12T00:00:00Z") && !rows.contains("123456.5"), "{rows}");
    let chosen =
        browser.text(r#"[...document.querySelectorAll(".picker [name]")].map(field => field.value).join(" ")"#).await;
    assert_eq!(chosen, "custom 2020-01-05 2020-01-12 2020-02-01T12:30:15");

    for tool in ["curl", "pandas", "duckdb"] {
        browser.call("Page.bringToFront", json!({})).await;
        browser.value(&format!(r#"document.querySelector("[data-copy={tool}]").click()"#)).await;
        let copied = format!(
            r#"new Promise(done => {{
                const status = document.getElementById("copied");
                const look = () => status.textContent === "Copied: {tool}" ? done(navigator.clipboard.readText()) : requestAnimationFrame(look);
                look();
            }})"#
        );
        let copied = browser.text(&copied).await;
        assert_eq!(copied, browser.text(&format!(r#"document.getElementById("{tool}").textContent"#)).await);
        let query = "/v1/series/price_usd.csv?start=2020-01-05&end=2020-01-12&as_of=2020-02-01T12:30:15Z";
        assert!(copied.contains(&format!("{address}{query}")), "{copied}");
    }

    // A range takes the dates away again.
    browser.value(r#"const range = document.querySelector("[name=range]"); range.value = "30d"; range.dispatchEvent(new Event("change"))"#).await;
    assert_eq!(browser.text(r#"document.querySelector("[name=start]").value"#).await, "");
    browser.stop().await;
}

async fn keyboard_and_no_script(program: PathBuf) {
    let (_database, address) = served().await;
    let mut browser = Browser::start(program, "keyboard").await;
    let page = format!("{address}/docs/metrics/price_usd?range=30d&as_of=2020-02-05");
    browser.open(&page).await;
    browser.press("Tab").await;
    assert_eq!(browser.text("document.activeElement.className").await, "skip");
    let outline = browser.text("getComputedStyle(document.activeElement).outlineStyle").await;
    assert_eq!(outline, "solid", "the focus is seen");
    browser.press("Enter").await;
    assert_eq!(browser.text("document.activeElement.id").await, "content");
    browser.press("Tab").await;
    assert_eq!(browser.text("document.activeElement.name").await, "range", "the form comes next");

    browser.call("Emulation.setScriptExecutionDisabled", json!({"value": true})).await;
    browser.open(&page).await;
    assert!(browser.text(r#"document.getElementById("known").innerText"#).await.contains("2020-02-05T00:00:00Z"));
    let hidden = browser.value(r#"[...document.querySelectorAll("[data-copy]")].every(button => button.hidden)"#).await;
    assert_eq!(hidden, json!(true), "no button that does nothing");
    assert!(
        browser.text(r#"document.getElementById("curl").innerText"#).await.ends_with("start=-30d&as_of=2020-02-05'")
    );
    browser.stop().await;
}

/// What is wrong with the looks of a page: things that run out of it, words over each other in charts,
/// two versions of a chart at once, and text that is too faint (WCAG 2.2, 1.4.3, level AA).
const LOOKS: &str = r#"(() => {
    const wrong = [];
    const wide = document.documentElement.scrollWidth;
    if (wide > innerWidth) wrong.push(`${wide} px wide`);
    const shown = element => element.getClientRects().length > 0;
    for (const figure of document.querySelectorAll("figure")) {
        const charts = [...figure.querySelectorAll("svg")].filter(shown);
        if (charts.length !== 1) wrong.push(`${charts.length} versions of a chart`);
        for (const chart of charts) {
            if (!chart.querySelector("title") || chart.getAttribute("role") !== "img") wrong.push("a chart without name");
            const words = [...chart.querySelectorAll("text")].filter(text => text.getAttribute("opacity") === "1");
            const boxes = words.map(text => text.getBoundingClientRect());
            const edge = chart.getBoundingClientRect();
            boxes.forEach((box, place) => {
                if (box.left < edge.left - 1 || box.right > edge.right + 1) wrong.push(`${words[place].textContent} leaves the chart`);
                for (let other = 0; other < place; other++) {
                    const over = boxes[other];
                    const apart = box.right <= over.left || over.right <= box.left || box.bottom <= over.top + 2 || over.bottom <= box.top + 2;
                    if (!apart) wrong.push(`${words[place].textContent} lies over ${words[other].textContent}`);
                }
            });
        }
    }
    const channels = color => (color.match(/[\d.]+/g) ?? []).map(Number);
    const light = ([r, g, b]) => {
        const part = value => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
        return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
    };
    const ground = element => {
        for (let at = element; at; at = at.parentElement) {
            const color = channels(getComputedStyle(at).backgroundColor);
            if (color.length === 3 || color[3] === 1) return color;
        }
        return [255, 255, 255];
    };
    let looked = 0;
    for (const element of document.querySelectorAll("body *")) {
        const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
        if (!own || !shown(element)) continue;
        const isText = element.tagName === "text";
        if (element.closest("svg") && (!isText || element.getAttribute("opacity") !== "1")) continue;
        const style = getComputedStyle(element);
        const paper = isText ? channels(getComputedStyle(element.closest("svg").querySelector("rect")).fill) : ground(element);
        const [a, b] = [light(channels(isText ? style.fill : style.color)), light(paper)];
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (contrast < 4.5) wrong.push(`contrast ${contrast.toFixed(2)} of ${element.textContent.trim().slice(0, 40)}`);
        looked++;
    }
    if (looked < 5) wrong.push(`only ${looked} texts`);
    for (const field of document.querySelectorAll("input:not([type=hidden]), select, button")) {
        if (!(field.labels?.length || field.textContent.trim())) wrong.push(`${field.name} has no label`);
    }
    return wrong;
})()"#;

async fn looks(program: PathBuf) {
    let (_database, address) = served().await;
    let mut browser = Browser::start(program, "looks").await;
    let paths = [
        "/",
        "/docs/metrics",
        "/docs/metrics/hashrate_h_per_s?range=all",
        "/docs/metrics/hashprice_usd_per_ph_day?range=30d&as_of=2020-02-05",
        "/docs/metrics/price_usd?range=week",
        "/docs/errors/stale",
    ];
    for path in paths {
        for (width, dark) in [(390, false), (390, true), (1_440, false), (1_440, true)] {
            browser.resize(width, dark).await;
            browser.open(&format!("{address}{path}")).await;
            let wrong = browser.value(LOOKS).await;
            assert_eq!(wrong, json!([]), "{path} at {width} px, dark: {dark}");
        }
    }
    // The check sees what it is for.
    browser.resize(390, false).await;
    browser.open(&format!("{address}/docs/metrics/hashrate_h_per_s?range=all")).await;
    browser.value(r#"document.querySelector("h1").style.color = "rgb(150, 150, 150)""#).await;
    browser.value(r#"document.querySelector("table").parentElement.style.overflow = "visible""#).await;
    browser
        .value(
            r#"for (const text of document.querySelectorAll("text[text-anchor=middle]")) text.setAttribute("x", 600)"#,
        )
        .await;
    let wrong = browser.value(LOOKS).await.to_string();
    for words in ["contrast 2.96 of hashrate_h_per_s", " px wide", " lies over "] {
        assert!(wrong.contains(words), "{words}: {wrong}");
    }
    // A chart by itself is dark too, in what the browser takes for a picture.
    browser.resize(960, true).await;
    browser.open(&format!("{address}/v1/series/price_usd.svg")).await;
    assert_eq!(browser.text("document.documentElement.tagName").await, "svg");
    assert_eq!(browser.text(r#"getComputedStyle(document.querySelector("rect")).fill"#).await, "rgb(20, 23, 28)");
    browser.stop().await;
}

async fn within_limit(name: &str, check: impl Future<Output = ()>) {
    assert!(tokio::time::timeout(LIMIT, check).await.is_ok(), "{name} takes longer than {LIMIT:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_chooses_range_and_moment_and_copies_the_lines() {
    let Some(program) = chromium() else { return };
    within_limit("copying", range_moment_and_copying(program)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_work_by_keyboard_and_without_script() {
    let Some(program) = chromium() else { return };
    within_limit("keyboard", keyboard_and_no_script(program)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_fit_small_screens_and_are_legible_in_light_and_dark() {
    let Some(program) = chromium() else { return };
    within_limit("looks", looks(program)).await;
}

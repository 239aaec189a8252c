//! Inventories of assets: CSV or JSON, in a file or behind an address; whole, or asked value by value.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Answer, InventoryConfig, LookingUp, Source};
use crate::model::{Clock, Digest, Timestamp, with_causes};
use crate::net::{SecretSource, read_body};

/// Largest inventory, bytes, and most assets in one.
const BYTES_MAX: usize = 16 << 20;
const ASSETS_MAX: usize = 200_000;

/// Largest answer about one asset, bytes.
const ASSET_BYTES_MAX: usize = 64 << 10;

/// What stands in an address for the value.
const VALUE: &str = "{value}";

type Fields = Vec<(String, String)>;

/// An inventory, whole.
struct Table {
    rows: HashMap<String, Fields>,
    version: String,
    as_of: Timestamp,
    /// When it was last looked at.
    looked: Instant,
}

enum Place {
    File(PathBuf),
    /// The whole inventory.
    Address(Url, reqwest::Client),
    /// One asset each.
    Assets(String, reqwest::Client),
}

pub(super) struct Inventory {
    place: Place,
    authorization: Option<SecretSource>,
    key: Option<String>,
    /// The fields that are wanted; empty for all.
    wanted: Vec<String>,
    refresh: Duration,
    clock: Arc<dyn Clock>,
    table: Mutex<Option<Arc<Table>>>,
}

impl Inventory {
    pub(super) fn new(config: &InventoryConfig, wanted: &[String], clock: Arc<dyn Clock>) -> Result<Self, String> {
        let client = || config.http.build().map_err(|error| with_causes(&error));
        let place = match (&config.file, &config.url) {
            (Some(file), None) => Place::File(file.clone()),
            (None, Some(url)) if url.contains(VALUE) => {
                filled(url, "x").ok_or_else(|| format!("`url: {url}` is no address with `{VALUE}` behind its host"))?;
                Place::Assets(url.clone(), client()?)
            }
            (None, Some(url)) => {
                let address = Url::parse(url).map_err(|error| format!("`url: {url}`: {error}"))?;
                Place::Address(address, client()?)
            }
            _ => return Err("`asset_inventory` needs one of `file` and `url`".into()),
        };
        Ok(Self {
            place,
            authorization: config.authorization.clone(),
            key: config.key.clone(),
            wanted: wanted.to_vec(),
            refresh: Duration::from_secs(config.refresh_s),
            clock,
            table: Mutex::new(None),
        })
    }

    async fn answer(&self, value: &str) -> Result<Option<Answer>, String> {
        if let Place::Assets(template, client) = &self.place {
            let address = filled(template, value).ok_or("the value does not fit into an address")?;
            return self.asset(client, address).await;
        }
        let table = self.table().await?;
        let fields = table.rows.get(value).map(|fields| self.chosen(fields.clone()));
        Ok(fields.map(|fields| Answer::new(fields, table.version.clone(), table.as_of)))
    }

    /// The inventory as it is now. One that cannot be read any more is an error, not the old one: answers that are kept
    /// say how old they are.
    async fn table(&self) -> Result<Arc<Table>, String> {
        let mut kept = self.table.lock().await;
        if let Some(table) = kept.as_ref().filter(|table| table.looked.elapsed() < self.refresh) {
            return Ok(Arc::clone(table));
        }
        let (bytes, is_csv, modified) = match &self.place {
            Place::Address(address, client) => {
                let (bytes, is_csv) = self.get(client, address.clone(), BYTES_MAX).await?.ok_or("HTTP 404")?;
                (bytes, is_csv, None)
            }
            Place::File(path) => {
                let failed = |error: std::io::Error| format!("`{}`: {error}", path.display());
                let about = tokio::fs::metadata(path).await.map_err(failed)?;
                let modified = about.modified().ok().and_then(time_of);
                if about.len() > BYTES_MAX as u64 {
                    return Err(format!("`{}` is larger than {} MiB", path.display(), BYTES_MAX >> 20));
                }
                let is_csv = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
                (tokio::fs::read(path).await.map_err(failed)?, is_csv, modified)
            }
            Place::Assets(..) => return Err("it is asked value by value".into()),
        };
        let rows = if is_csv { read_csv(&bytes, self.key.as_deref()) } else { read_json(&bytes, self.key.as_deref()) }?;
        if rows.len() > ASSETS_MAX {
            return Err(format!("the inventory has more than {ASSETS_MAX} assets"));
        }
        let as_of = modified.unwrap_or_else(|| self.clock.now());
        let version = Digest::of(&bytes).to_string();
        let table = Arc::new(Table { rows, version, as_of, looked: Instant::now() });
        *kept = Some(Arc::clone(&table));
        Ok(table)
    }

    async fn asset(&self, client: &reqwest::Client, address: Url) -> Result<Option<Answer>, String> {
        let Some((bytes, _)) = self.get(client, address, ASSET_BYTES_MAX).await? else { return Ok(None) };
        let asset: Map<String, Value> =
            serde_json::from_slice(&bytes).map_err(|error| format!("the answer is no JSON object: {error}"))?;
        let fields = self.chosen(fields_of(&asset));
        Ok(Some(Answer::new(fields, Digest::of(&bytes).to_string(), self.clock.now())))
    }

    /// `None` when there is nothing; true when it is CSV.
    async fn get(
        &self,
        client: &reqwest::Client,
        address: Url,
        bytes_max: usize,
    ) -> Result<Option<(Vec<u8>, bool)>, String> {
        let mut request = client.get(address);
        if let Some(source) = &self.authorization {
            let secret = source.load().map_err(|error| with_causes(&error))?;
            let mut value = HeaderValue::from_str(secret.expose()).map_err(|_| "`authorization` is no header value")?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let response = request.send().await.map_err(|error| with_causes(&error.without_url()))?;
        match response.status().as_u16() {
            200 => {}
            404 => return Ok(None),
            status => return Err(format!("HTTP {status}")),
        }
        let content_type = response.headers().get(reqwest::header::CONTENT_TYPE);
        let is_csv = content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/csv"));
        let body = read_body(response, bytes_max).await.map_err(|error| with_causes(&error))?;
        Ok(Some((body, is_csv)))
    }

    fn chosen(&self, fields: Fields) -> Fields {
        if self.wanted.is_empty() {
            return fields;
        }
        let wanted = self.wanted.iter().filter_map(|name| fields.iter().find(|(field, _)| field == name));
        wanted.cloned().collect()
    }
}

impl Source for Inventory {
    fn look_up<'a>(&'a self, value: &'a str) -> LookingUp<'a> {
        Box::pin(self.answer(value))
    }
}

/// The address of one asset: the value percent-encoded whole (RFC 3986 §2.1), so that it cannot become another path, host
/// or query.
fn filled(template: &str, value: &str) -> Option<Url> {
    let behind_host =
        template.find("://").and_then(|at| template.get(at + 3..)?.find('/').map(|slash| at + 3 + slash))?;
    if template.find(VALUE)? < behind_host || matches!(value, "." | "..") {
        return None;
    }
    let mut encoded = String::new();
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    Url::parse(&template.replace(VALUE, &encoded)).ok()
}

fn time_of(time: SystemTime) -> Option<Timestamp> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    u64::try_from(since.as_micros()).ok().map(Timestamp::from_micros)
}

fn read_csv(bytes: &[u8], key: Option<&str>) -> Result<HashMap<String, Fields>, String> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let header = reader.headers().map_err(|error| error.to_string())?.clone();
    let column = match key {
        None => 0,
        Some(key) => header.iter().position(|name| name == key).ok_or_else(|| format!("there is no column `{key}`"))?,
    };
    let mut rows = HashMap::new();
    for row in reader.records() {
        let row = row.map_err(|error| error.to_string())?;
        let Some(name) = row.get(column) else { continue };
        let fields =
            header.iter().zip(&row).enumerate().filter(|(place, (_, value))| *place != column && !value.is_empty());
        rows.insert(name.to_owned(), fields.map(|(_, (name, value))| (name.to_owned(), value.to_owned())).collect());
    }
    Ok(rows)
}

/// An object of objects by name, or a list of objects of which a member is the name.
fn read_json(bytes: &[u8], key: Option<&str>) -> Result<HashMap<String, Fields>, String> {
    let whole: Value = serde_json::from_slice(bytes).map_err(|error| format!("it is no JSON: {error}"))?;
    let object = |value: &Value| value.as_object().map(fields_of);
    match (whole, key) {
        (Value::Object(assets), None) => {
            Ok(assets.iter().filter_map(|(name, asset)| Some((name.clone(), object(asset)?))).collect())
        }
        (Value::Array(assets), Some(key)) => Ok(assets
            .iter()
            .filter_map(|asset| {
                let fields = object(asset)?.into_iter().filter(|(name, _)| name != key).collect();
                Some((asset.get(key)?.as_str()?.to_owned(), fields))
            })
            .collect()),
        (Value::Array(_), None) => Err("it is a list: `key` says which member of its objects is the name".into()),
        _ => Err("it is neither an object of objects nor, with `key`, a list of objects".into()),
    }
}

/// Members that are one value each.
fn fields_of(object: &Map<String, Value>) -> Fields {
    let texts = object.iter().filter_map(|(name, value)| {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            Value::Array(_) | Value::Null | Value::Object(_) => return None,
        };
        Some((name.clone(), text))
    });
    texts.collect()
}

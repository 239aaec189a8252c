//! The shapes of `aarm`, checked against a JSON Schema of the operator's.
//!
//! What does not fit is no event of that schema: it becomes a dead letter with the reason, never a silent change. The
//! schema is a file, or comes by HTTPS once: its digest is pinned, by the configuration or by what came first, and no
//! reference in it is ever followed into the network.

use std::fs;
use std::path::{Path, PathBuf};

use jsonschema::{PatternOptions, Validator};

use super::aarm::Aarm;
use super::{Render, RenderError, Scene, SchemaError, SchemaSettings};
use crate::model::Digest;
use crate::net::{HttpClient, read_body};

/// Largest JSON Schema, bytes.
const SCHEMA_BYTES_MAX: usize = 1 << 20;

/// Patterns as linear automata: a pattern must not be able to stop the exporter.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// AARM's shapes, checked.
pub(super) struct Custom {
    shapes: Aarm,
    validator: Validator,
}

impl Custom {
    pub(super) fn new(settings: &SchemaSettings, data_dir: &Path) -> Result<Self, SchemaError> {
        let url = settings.schema_url.as_deref().ok_or(SchemaError::NoUrl)?;
        let failed = |problem: String| SchemaError::Custom { url: url.to_owned(), problem };
        let bytes = load(url, settings, data_dir).map_err(failed)?;
        let schema = serde_json::from_slice(&bytes).map_err(|error| failed(format!("it is not JSON: {error}")))?;
        let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES_MAX);
        let validator = jsonschema::options().offline().with_pattern_options(patterns).build(&schema);
        let validator = validator.map_err(|error| failed(format!("it is no JSON Schema: {error}")))?;
        Ok(Self { shapes: Aarm::new(None)?, validator })
    }
}

impl Render for Custom {
    fn render(&self, scene: &Scene<'_>, out: &mut String) -> Result<(), RenderError> {
        self.shapes.render(scene, out)?;
        let event = serde_json::from_str(out).map_err(|error| RenderError(error.to_string()))?;
        self.validator.validate(&event).map_err(|error| {
            // The value itself stays out of the reason: dead letters are read by more people than events.
            RenderError(format!("`{}` does not fit `{}`", error.instance_path(), error.schema_path()))
        })
    }
}

/// The bytes of the schema at `url`, checked against the digest that is pinned.
fn load(url: &str, settings: &SchemaSettings, data_dir: &Path) -> Result<Vec<u8>, String> {
    let wanted = match settings.schema_digest.as_deref() {
        Some(text) => Some(Digest::parse(text).ok_or("`schema_digest` is no SHA-256 digest")?),
        None => None,
    };
    let check = |bytes: Vec<u8>, wanted: Option<Digest>| match wanted {
        Some(wanted) if Digest::of(&bytes) != wanted => {
            Err(format!("it has the digest {}, which is not the one that is pinned", Digest::of(&bytes)))
        }
        _ => Ok(bytes),
    };
    if !url.starts_with("https://") {
        if url.contains("://") {
            return Err("only https:// and files are read".into());
        }
        let bytes = fs::read(data_dir.join(url)).map_err(|error| error.to_string())?;
        return check(bytes, wanted);
    }
    // The first copy that came is the one that counts, until it is removed: what events look like does not change
    // because somebody changed a page.
    let kept = kept(url, data_dir);
    if let Ok(bytes) = fs::read(&kept) {
        return check(bytes, wanted)
            .map_err(|problem| format!("{problem}; remove `{}` to have it fetched again", kept.display()));
    }
    let bytes = check(fetch(url, &settings.schema_http)?, wanted)?;
    let written = fs::create_dir_all(kept.parent().unwrap_or(data_dir)).and_then(|()| fs::write(&kept, &bytes));
    written.map_err(|error| format!("keep it in `{}`: {error}", kept.display()))?;
    if wanted.is_none() {
        tracing::warn!(url, digest = %Digest::of(&bytes), "pinned at first use; put `schema_digest` into the configuration");
    }
    Ok(bytes)
}

fn kept(url: &str, data_dir: &Path) -> PathBuf {
    data_dir.join("export/schemas").join(format!("{}.json", Digest::of(url.as_bytes()).to_hex()))
}

/// Fetches the schema, once, before anything is exported. On a thread of its own: whoever builds destinations need not
/// be a task.
fn fetch(url: &str, http: &HttpClient) -> Result<Vec<u8>, String> {
    let (url, http) = (url.to_owned(), http.clone());
    let fetched = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| error.to_string())?.block_on(async {
            let client = http.build().map_err(|error| error.to_string())?;
            let response = client.get(&url).send().await.map_err(|error| error.without_url().to_string())?;
            if !response.status().is_success() {
                return Err(format!("the server answers {}", response.status()));
            }
            read_body(response, SCHEMA_BYTES_MAX).await.map_err(|error| error.to_string())
        })
    });
    fetched.join().unwrap_or_else(|_| Err("the thread that fetched it failed".into()))
}

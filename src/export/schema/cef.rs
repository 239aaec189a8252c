//! Common Event Format (Micro Focus, Implementation Standard 26), version 0: one line that syslog carries.
//!
//! `CEF:0|vendor|product|version|signature|name|severity|key=value key=value`. In the header `\` and `|` are escaped, in
//! values of the extension `\`, `=` and line ends; nothing else, and never the other way round: receivers take every
//! further backslash as it stands.

use super::table::{Choice, chosen};
use super::template::Template;
use super::{Render, RenderError, Scene, SchemaError, SchemaSettings};

/// CEF, of one vendor, product and version.
pub(super) struct Cef {
    header: Template,
    extension: Template,
    /// The device version in the header.
    version: String,
}

impl Cef {
    pub(super) fn new(settings: &SchemaSettings) -> Result<Self, SchemaError> {
        let choice =
            Choice { version: (0, 0), options: settings.dialect.iter().map(|dialect| dialect.as_str()).collect() };
        let template = |section| {
            let template = Template::flat(chosen("cef", &[section], &choice));
            template.map_err(|problem| SchemaError::Table { schema: "cef", problem })
        };
        let version = settings.version.clone().unwrap_or_else(|| env!("CARGO_PKG_VERSION").into());
        Ok(Self { header: template("header")?, extension: template("extension")?, version })
    }
}

impl Render for Cef {
    fn render(&self, scene: &Scene<'_>, out: &mut String) -> Result<(), RenderError> {
        let header: Vec<_> = self.header.members(scene).collect();
        let part = |name| header.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_text());
        let mut signature = part("signature").unwrap_or_default().into_owned();
        if let Some(result) = part("result") {
            signature.push(':');
            signature.push_str(&result);
        }
        out.push_str("CEF:0");
        let names = [scene.names.vendor.as_str(), &scene.names.product, &self.version, &signature];
        let parts = names.into_iter().map(Into::into).chain([part("name"), part("severity")].into_iter().flatten());
        for text in parts {
            out.push('|');
            write_header(out, &text);
        }
        out.push('|');
        let mut first = true;
        for (key, value) in self.extension.members(scene) {
            let text = value.to_text();
            if text.is_empty() {
                continue;
            }
            if !first {
                out.push(' ');
            }
            first = false;
            out.push_str(key);
            out.push('=');
            write_value(out, &text);
        }
        Ok(())
    }
}

/// A header field has one line.
fn write_header(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '|' => out.push_str("\\|"),
            control if control.is_control() => out.push(' '),
            other => out.push(other),
        }
    }
}

/// Line ends stand as `\n` and `\r`; other control characters have no form and become spaces.
fn write_value(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '=' => out.push_str("\\="),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            control if control.is_control() => out.push(' '),
            other => out.push(other),
        }
    }
}

//! Which controls of which framework an event is evidence for.
//!
//! The answer comes from a mapping in which every line names its source, and from the tags of the rules that matched. A
//! framework that neither speaks about has no tag: nothing is guessed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use serde::Deserialize;

use super::Event;
use crate::model::EventType;
use crate::model::json::write_string;

/// Largest mapping, bytes.
const BYTES_MAX: u64 = 1 << 20;

/// The mapping that comes with this program.
const SHIPPED: &str = include_str!("mapping.yaml");

/// A framework that events can be tagged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Framework {
    /// Regulation (EU) 2024/1689.
    EuAiAct,
    /// MITRE ATLAS.
    MitreAtlas,
    /// NIST AI Risk Management Framework.
    NistAiRmf,
    /// OWASP Top 10 for Agentic Applications.
    OwaspAgentic,
    /// OWASP Top 10 for LLM Applications.
    OwaspLlm,
    /// SOC 2, Trust Services Criteria.
    Soc2,
}

impl Framework {
    const ALL: [Self; 6] =
        [Self::EuAiAct, Self::MitreAtlas, Self::NistAiRmf, Self::OwaspAgentic, Self::OwaspLlm, Self::Soc2];

    /// The word in events, and before the colon of a rule's tag.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EuAiAct => "eu_ai_act",
            Self::MitreAtlas => "mitre_atlas",
            Self::NistAiRmf => "nist_ai_rmf",
            Self::OwaspAgentic => "owasp_agentic",
            Self::OwaspLlm => "owasp_llm",
            Self::Soc2 => "soc2",
        }
    }
}

/// `telemetry.compliance`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ComplianceConfig {
    /// The frameworks whose tags events carry; none switches them off.
    pub frameworks: Vec<Framework>,
    /// A mapping to be used instead of the one that comes with the program.
    pub mapping: Option<PathBuf>,
}

impl Default for ComplianceConfig {
    fn default() -> Self {
        Self { frameworks: Framework::ALL.to_vec(), mapping: None }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[expect(dead_code, reason = "tells readers of the file apart; nothing depends on it")]
    version: String,
    mappings: Vec<Mapping>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mapping {
    framework: Framework,
    id: String,
    #[serde(default)]
    title: Option<String>,
    when: When,
    source: String,
    because: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct When {
    event_type: Vec<String>,
    kind: Vec<String>,
    tag: Vec<String>,
    result: Vec<String>,
    reason_code: Vec<String>,
    control: Vec<String>,
}

/// What conditions are compared with, read once for all mappings.
struct Facts<'a> {
    kind: Cow<'a, str>,
    tags: Vec<Cow<'a, str>>,
    result: Cow<'a, str>,
    reason_code: Cow<'a, str>,
    control: Cow<'a, str>,
}

impl<'a> Facts<'a> {
    fn of(event: &'a Event) -> Self {
        let text = |path| event.entry.text(path);
        let tags = event.entry.at("decision.tags").into_iter().flat_map(|tags| tags.children());
        Self {
            kind: text("kind"),
            tags: tags.filter_map(|tag| tag.as_str()).collect(),
            result: text("decision.result"),
            reason_code: text("decision.reason_code"),
            control: text("control.event"),
        }
    }
}

fn among(wanted: &[String], is: &str) -> bool {
    wanted.is_empty() || wanted.iter().any(|wanted| wanted == is)
}

impl When {
    /// Whether it holds for an event of a type that it speaks about.
    fn holds(&self, facts: &Facts<'_>) -> bool {
        (self.tag.is_empty() || facts.tags.iter().any(|tag| self.tag.iter().any(|wanted| wanted == tag)))
            && among(&self.kind, &facts.kind)
            && among(&self.result, &facts.result)
            && among(&self.reason_code, &facts.reason_code)
            && among(&self.control, &facts.control)
    }
}

/// A mapping, ready to be asked.
#[derive(Clone, Debug)]
pub struct Compliance {
    frameworks: Vec<Framework>,
    /// Those that can hold for events of a type.
    mappings: Vec<(EventType, Vec<Mapping>)>,
    /// What controls are called, by id, where a mapping says.
    titles: BTreeMap<String, String>,
}

impl Compliance {
    /// The mapping of this program, for all frameworks.
    #[must_use]
    pub fn shipped() -> Arc<Self> {
        static ALL: LazyLock<Arc<Compliance>> =
            LazyLock::new(|| Arc::new(Compliance::new(Framework::ALL.to_vec(), read(SHIPPED).unwrap_or_default())));
        Arc::clone(&ALL)
    }

    /// What a configuration asks for.
    ///
    /// # Errors
    /// A sentence that names the file and the line that cannot be used.
    pub fn open(config: &ComplianceConfig) -> Result<Arc<Self>, String> {
        if *config == ComplianceConfig::default() {
            return Ok(Self::shipped());
        }
        let mappings = match &config.mapping {
            None => read(SHIPPED)?,
            Some(path) => read(&text_of(path)?).map_err(|problem| format!("`{}`: {problem}", path.display()))?,
        };
        Ok(Arc::new(Self::new(config.frameworks.clone(), mappings)))
    }

    fn new(frameworks: Vec<Framework>, mappings: Vec<Mapping>) -> Self {
        let of_type = |event_type: EventType| {
            let speaks = |mapping: &&Mapping| among(&mapping.when.event_type, event_type.as_str());
            (event_type, mappings.iter().filter(speaks).cloned().collect())
        };
        let titles = mappings.iter().rev().filter_map(|mapping| Some((mapping.id.clone(), mapping.title.clone()?)));
        Self { frameworks, titles: titles.collect(), mappings: EventType::ALL.into_iter().map(of_type).collect() }
    }

    fn mappings(&self, event: &Event) -> &[Mapping] {
        let found = self.mappings.iter().find(|(event_type, _)| *event_type == event.event_type);
        found.map_or(&[], |(_, mappings)| mappings)
    }

    /// The controls of an event by framework, each once, sorted.
    #[must_use]
    pub fn of<'a>(&'a self, event: &'a Event) -> BTreeMap<Framework, Vec<Cow<'a, str>>> {
        let mut found: BTreeMap<Framework, Vec<Cow<'a, str>>> = BTreeMap::new();
        let mut add = |framework: Framework, id: Cow<'a, str>| {
            if self.frameworks.contains(&framework) {
                found.entry(framework).or_default().push(id);
            }
        };
        let facts = Facts::of(event);
        for tag in &facts.tags {
            let named = tag.split_once(':').and_then(|(catalogue, id)| {
                let framework = Framework::ALL.into_iter().find(|framework| framework.as_str() == catalogue)?;
                Some((framework, Cow::Owned(id.to_owned())))
            });
            if let Some((framework, id)) = named {
                add(framework, id);
            }
        }
        for mapping in self.mappings(event).iter().filter(|mapping| mapping.when.holds(&facts)) {
            add(mapping.framework, Cow::Borrowed(&mapping.id));
        }
        for ids in found.values_mut() {
            ids.sort();
            ids.dedup();
        }
        found
    }

    /// The same as a JSON object; `None` when there is nothing to say.
    pub(super) fn json(&self, event: &Event) -> Option<String> {
        let found = self.of(event);
        if found.is_empty() {
            return None;
        }
        let mut out = String::from("{");
        for (framework, ids) in &found {
            out.push_str(if out.len() > 1 { ",\"" } else { "\"" });
            out.push_str(framework.as_str());
            out.push_str("\":");
            list(&mut out, ids);
        }
        out.push('}');
        Some(out)
    }

    /// The same as a list of `framework:control`, for schemas without objects.
    pub(super) fn list(&self, event: &Event) -> Option<String> {
        let found = self.of(event).into_iter();
        let name = |framework: Framework, ids: Vec<Cow<'_, str>>| {
            ids.into_iter().map(move |id| format!("{}:{id}", framework.as_str())).collect::<Vec<_>>()
        };
        let names: Vec<String> = found.flat_map(|(framework, ids)| name(framework, ids)).collect();
        let mut out = String::new();
        list(&mut out, &names);
        (!names.is_empty()).then_some(out)
    }

    /// Techniques of MITRE ATLAS as a list.
    pub(super) fn techniques(&self, event: &Event) -> Option<String> {
        let ids = self.of(event).remove(&Framework::MitreAtlas)?;
        let mut out = String::new();
        list(&mut out, &ids);
        Some(out)
    }

    /// Techniques of MITRE ATLAS as OCSF's `attacks`, a member for ATT&CK and ATLAS alike.
    pub(super) fn attacks(&self, event: &Event) -> Option<String> {
        let ids = self.of(event).remove(&Framework::MitreAtlas)?;
        let mut out = String::from("[");
        for id in ids {
            out.push_str(if out.len() > 1 { ",{\"technique\":{\"uid\":" } else { "{\"technique\":{\"uid\":" });
            write_string(&mut out, &id);
            if let Some(title) = self.titles.get(&*id) {
                out.push_str(",\"name\":");
                write_string(&mut out, title);
            }
            out.push_str("}}");
        }
        out.push(']');
        Some(out)
    }
}

fn list(out: &mut String, ids: &[impl AsRef<str>]) {
    out.push('[');
    for (place, id) in ids.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        write_string(out, id.as_ref());
    }
    out.push(']');
}

fn text_of(path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("`{}`: {error}", path.display());
    if std::fs::metadata(path).map_err(failed)?.len() > BYTES_MAX {
        return Err(format!("`{}` is larger than 1 MiB", path.display()));
    }
    std::fs::read_to_string(path).map_err(failed)
}

fn read(text: &str) -> Result<Vec<Mapping>, String> {
    let file: File = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    for mapping in &file.mappings {
        let name = format!("{} {}", mapping.framework.as_str(), mapping.id);
        if !mapping.source.starts_with("https://") {
            return Err(format!("`{name}` has no source; name the page that defines it: `source: https://...`"));
        }
        if mapping.because.is_empty() {
            return Err(format!("`{name}` does not say why; write `because: ...`"));
        }
        if mapping.when == When::default() {
            return Err(format!("`{name}` speaks about every event; say which with `when`"));
        }
    }
    Ok(file.mappings)
}

#[cfg(test)]
mod tests;

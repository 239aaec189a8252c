//! Questions to the index. What it answers is made again from the log before it is believed.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::schema::{signed, unsigned};
use super::{Hit, Index, Row};
use crate::model::Timestamp;
use crate::record::{Archive, RecordError};

/// Which entries. Every part that is given must fit.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this kind.
    pub kind: Option<String>,
    /// Of this session.
    pub session: Option<String>,
    /// By this agent.
    pub agent: Option<String>,
    /// On behalf of this person.
    pub human: Option<String>,
    /// Of this tool, or `tool.operation`.
    pub tool: Option<String>,
    /// With this verdict.
    pub result: Option<String>,
    /// Of this tenant.
    pub tenant: Option<String>,
    /// Not earlier.
    pub since: Option<Timestamp>,
    /// Earlier.
    pub until: Option<Timestamp>,
    /// Below this place of the log: the next part of a listing.
    pub before: Option<u64>,
    /// From this place of the log on.
    pub from: Option<u64>,
}

/// Which way a listing goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The newest first.
    NewestFirst,
    /// As the log goes.
    OldestFirst,
}

/// One thing that is asked for.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// All entries of the action.
    Action(String),
    /// The entry at this place.
    Index(u64),
    /// The entry with this id.
    Receipt(String),
    /// All entries of the session, in their order.
    Session(String),
}

impl Index {
    /// The newest entries that fit, newest first, and how many fit in all.
    ///
    /// # Errors
    /// [`RecordError::Index`], or why the log cannot be read.
    pub fn list(&mut self, archive: &mut Archive, filter: &Filter, limit: u64) -> Result<(Vec<Hit>, u64), RecordError> {
        self.list_in(archive, filter, Order::NewestFirst, limit)
    }

    /// Entries that fit, in this order, and how many fit in all.
    ///
    /// # Errors
    /// [`RecordError::Index`], or why the log cannot be read.
    pub fn list_in(
        &mut self,
        archive: &mut Archive,
        filter: &Filter,
        order: Order,
        limit: u64,
    ) -> Result<(Vec<Hit>, u64), RecordError> {
        let way = match order {
            Order::NewestFirst => "DESC",
            Order::OldestFirst => "ASC",
        };
        self.agreeing(archive, |index, archive| {
            let (clause, mut values) = filter.clause();
            let count = format!("SELECT count(*) FROM everything WHERE {clause}");
            let total = index.connection.query_row(&count, params_from_iter(values.iter()), |row| row.get::<_, i64>(0));
            let total = total.map(unsigned).map_err(|error| index.failed(error))?;
            values.push(Value::Integer(signed(limit)));
            let place = values.len();
            let select = format!("SELECT idx, leaf FROM everything WHERE {clause} ORDER BY idx {way} LIMIT ?{place}");
            let hits = index.hits(archive, &select, values, |row| filter.fits(row))?;
            Ok(hits.map(|hits| (hits, total)))
        })
    }

    /// The entries of one thing, in the order of the log.
    ///
    /// # Errors
    /// [`RecordError::Index`], or why the log cannot be read.
    pub fn of(&mut self, archive: &mut Archive, wanted: &Wanted) -> Result<Vec<Hit>, RecordError> {
        let (column, value) = match wanted {
            Wanted::Action(id) => ("action_id", Value::Text(id.clone())),
            Wanted::Index(index) => ("idx", Value::Integer(signed(*index))),
            Wanted::Receipt(id) => ("receipt_id", Value::Text(id.clone())),
            Wanted::Session(id) => ("session", Value::Text(id.clone())),
        };
        let select = format!("SELECT idx, leaf FROM everything WHERE {column} = ?1 ORDER BY idx");
        self.agreeing(archive, |index, archive| {
            index.hits(archive, &select, vec![value.clone()], |row| wanted.fits(row))
        })
    }

    /// How the action ended, as far as the log says.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn ending(&mut self, archive: &mut Archive, action_id: &str) -> Result<Option<Hit>, RecordError> {
        let hits = self.of(archive, &Wanted::Action(action_id.to_owned()))?;
        Ok(hits.into_iter().rfind(|hit| hit.row.status.is_some()))
    }

    /// Asks, and makes the index again where an answer is not what the log says.
    fn agreeing<T>(
        &mut self,
        archive: &mut Archive,
        ask: impl Fn(&Self, &mut Archive) -> Result<Option<T>, RecordError>,
    ) -> Result<T, RecordError> {
        if let Some(answer) = ask(self, archive)? {
            return Ok(answer);
        }
        tracing::warn!(index = %self.path.display(), "the index disagrees with the log and is made again");
        *self = Self::rebuild(archive, &|_, _| {})?;
        ask(self, archive)?.ok_or(RecordError::Corrupt {
            path: self.path.clone(),
            offset: 0,
            reason: "the index disagrees with the log, again: delete it",
        })
    }

    /// `None` when an answer is not what the log says.
    fn hits(
        &self,
        archive: &mut Archive,
        select: &str,
        values: Vec<Value>,
        fits: impl Fn(&Row) -> bool,
    ) -> Result<Option<Vec<Hit>>, RecordError> {
        let answers = answers(&self.connection, select, values).map_err(|error| self.failed(error))?;
        let mut hits = Vec::with_capacity(answers.len());
        for (index, leaf) in answers {
            let Some(found) = archive.find(index)?.filter(|found| found.leaf.0 == leaf) else { return Ok(None) };
            let Some(row) = Row::of(index, &found.bytes).filter(|row| fits(row)) else { return Ok(None) };
            hits.push(Hit { found, row });
        }
        Ok(Some(hits))
    }
}

impl Wanted {
    fn fits(&self, row: &Row) -> bool {
        match self {
            Self::Action(id) => row.action_id.as_ref() == Some(id),
            Self::Index(index) => row.index == *index,
            Self::Receipt(id) => row.receipt_id == *id,
            Self::Session(id) => row.session.as_ref() == Some(id),
        }
    }
}

fn answers(connection: &Connection, select: &str, values: Vec<Value>) -> rusqlite::Result<Vec<(u64, [u8; 32])>> {
    let mut statement = connection.prepare(select)?;
    let rows = statement.query_map(params_from_iter(values), |row| Ok((unsigned(row.get(0)?), row.get(1)?)))?;
    rows.collect()
}

impl Filter {
    /// The condition, and its values in order.
    pub(super) fn clause(&self) -> (String, Vec<Value>) {
        let mut parts = vec!["1".to_owned()];
        let mut values = Vec::new();
        let equal = [
            ("kind", &self.kind),
            ("session", &self.session),
            ("agent", &self.agent),
            ("human", &self.human),
            ("result", &self.result),
            ("tenant", &self.tenant),
        ];
        for (column, wanted) in equal {
            if let Some(wanted) = wanted {
                values.push(Value::Text(wanted.clone()));
                parts.push(format!("{column} = ?{}", values.len()));
            }
        }
        if let Some(tool) = &self.tool {
            values.push(Value::Text(tool.clone()));
            let place = values.len();
            parts.push(format!("(tool = ?{place} OR tool || '.' || operation = ?{place})"));
        }
        for (comparison, time) in [(">=", self.since), ("<", self.until)] {
            if let Some(time) = time {
                values.push(Value::Integer(signed(time.as_micros())));
                parts.push(format!("time_us {comparison} ?{}", values.len()));
            }
        }
        for (comparison, place) in [("<", self.before), (">=", self.from)] {
            if let Some(place) = place {
                values.push(Value::Integer(signed(place)));
                parts.push(format!("idx {comparison} ?{}", values.len()));
            }
        }
        (parts.join(" AND "), values)
    }

    /// The same condition, on what the log says.
    fn fits(&self, row: &Row) -> bool {
        let equal = |wanted: &Option<String>, found: Option<&String>| {
            wanted.as_ref().is_none_or(|wanted| found == Some(wanted))
        };
        let tool = self.tool.as_ref().is_none_or(|wanted| {
            let (tool, operation) =
                (row.tool.as_deref().unwrap_or_default(), row.operation.as_deref().unwrap_or_default());
            wanted == tool || *wanted == format!("{tool}.{operation}")
        });
        equal(&self.kind, Some(&row.kind))
            && equal(&self.session, row.session.as_ref())
            && equal(&self.agent, row.agent.as_ref())
            && equal(&self.human, row.human.as_ref())
            && equal(&self.result, row.result.as_ref())
            && equal(&self.tenant, row.tenant.as_ref())
            && tool
            && self.since.is_none_or(|since| row.time >= since)
            && self.until.is_none_or(|until| row.time < until)
            && self.before.is_none_or(|before| row.index < before)
            && self.from.is_none_or(|from| row.index >= from)
    }
}

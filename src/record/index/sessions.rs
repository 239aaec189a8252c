//! Sessions of a log, the ones that were used last first.

use rusqlite::params_from_iter;
use rusqlite::types::Value;

use super::schema::{signed, unsigned};
use super::{Filter, Index};
use crate::record::RecordError;

/// Where a session lies in the log. What its entries say is for the log to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSpan {
    /// Its id.
    pub id: String,
    /// Its first entry.
    pub first: u64,
    /// Its last entry.
    pub last: u64,
    /// The entry of its last decision.
    pub last_decision: Option<u64>,
    /// Entries in all.
    pub entries: u64,
    /// Decisions in all.
    pub decisions: u64,
    /// Decisions that let the action neither run nor run changed.
    pub held: u64,
}

impl Index {
    /// The sessions with an entry that fits, by their last entry, newest first, and how many there are. `filter.before`
    /// is about their last entries.
    ///
    /// # Errors
    /// [`RecordError::Index`].
    pub fn sessions(&self, filter: &Filter, limit: u64) -> Result<(Vec<SessionSpan>, u64), RecordError> {
        let within = Filter { before: None, ..filter.clone() };
        let (clause, mut values) = within.clause();
        let grouped = format!(
            "SELECT session, min(idx) AS first, max(idx) AS last, max(CASE WHEN kind = 'decision' THEN idx END), \
             count(*), sum(kind = 'decision'), sum(kind = 'decision' AND result NOT IN ('ALLOW', 'MODIFY')) \
             FROM everything WHERE session IS NOT NULL AND {clause} GROUP BY session"
        );
        let count = format!("SELECT count(DISTINCT session) FROM everything WHERE {clause}");
        let total = self.connection.query_row(&count, params_from_iter(values.iter()), |row| row.get::<_, i64>(0));
        let total = total.map(unsigned).map_err(|error| self.failed(error))?;
        values.extend([filter.before.unwrap_or(u64::MAX), limit].map(|number| Value::Integer(signed(number))));
        let (before, limit) = (values.len() - 1, values.len());
        let select = format!("SELECT * FROM ({grouped}) WHERE last < ?{before} ORDER BY last DESC LIMIT ?{limit}");
        let spans = self.connection.prepare(&select).and_then(|mut statement| {
            let rows = statement.query_map(params_from_iter(values), |row| {
                let number = |place| row.get::<_, i64>(place).map(unsigned);
                Ok(SessionSpan {
                    id: row.get(0)?,
                    first: number(1)?,
                    last: number(2)?,
                    last_decision: row.get::<_, Option<i64>>(3)?.map(unsigned),
                    entries: number(4)?,
                    decisions: number(5)?,
                    held: number(6)?,
                })
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        });
        Ok((spans.map_err(|error| self.failed(error))?, total))
    }
}

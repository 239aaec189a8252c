//! A JSON object as a value of CEL: its members can be looked up, tested for and counted, and not gone over, because
//! an order of members would be one that nobody wrote.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use cel::ExecutionError;
use cel::common::traits::{Container, Indexer, Sizer};
use cel::common::types::{CelInt, CelString, MAP_TYPE, Type};
use cel::common::value::{CowVal, StaticVal, Val};

/// Members by name.
pub(super) type Members = BTreeMap<Box<str>, Box<dyn Val>>;

/// Shared, so that a list of objects is gone over without copying them.
#[derive(Clone, Debug)]
pub(super) struct Object(pub(super) Arc<Members>);

impl Object {
    fn member(&self, name: &dyn Val) -> Result<&(dyn Val + 'static), ExecutionError> {
        let name = name.downcast_ref::<CelString<'_>>().map(CelString::inner);
        let found = name.and_then(|name| self.0.get(name));
        found.map(|value| &**value).ok_or_else(|| ExecutionError::no_such_key(name.unwrap_or_default()))
    }
}

impl Val for Object {
    fn get_type(&self) -> &Type {
        <Self as Val>::cel_type()
    }

    fn cel_type() -> &'static Type {
        &MAP_TYPE
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        Some(self)
    }

    fn equals(&self, other: &dyn Val) -> bool {
        let Some(other) = other.downcast_ref::<Self>() else { return false };
        self.0.len() == other.0.len()
            && self.0.iter().all(|(name, value)| other.0.get(name).is_some_and(|other| value.equals(&**other)))
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Object {}

impl Container for Object {
    fn contains(&self, name: &dyn Val) -> Result<bool, ExecutionError> {
        Ok(self.member(name).is_ok())
    }
}

impl Indexer for Object {
    fn get<'b, 'v>(&'b self, name: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.member(name).map(CowVal::Borrowed)
    }

    fn steal<'v>(self: Box<Self>, name: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.member(name).map(|value| value.clone_as_boxed())
    }
}

impl Sizer for Object {
    fn size(&self) -> CelInt {
        CelInt::from(i64::try_from(self.0.len()).unwrap_or(i64::MAX))
    }
}

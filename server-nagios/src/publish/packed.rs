//! What a manifest says of each host and hardly anybody asks for, left as the text that it is stored as.
//!
//! Ten thousand hosts have a million words. To take each of them apart, keep it, and give it back cost a publish of one
//! change, and every `list`, more than all else that they did.

use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;

use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::Error;
use crate::failure::FileError;

/// A value as its JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent, bound = "")]
pub(crate) struct Packed<T>(Box<RawValue>, #[serde(skip)] PhantomData<fn() -> T>);

impl<T: Serialize + DeserializeOwned> Packed<T> {
    /// Packs a value.
    ///
    /// # Errors
    /// It cannot be said in JSON.
    pub(crate) fn of(value: &T) -> Result<Self, Error> {
        Ok(Self(serde_json::value::to_raw_value(value).map_err(failed("write"))?, PhantomData))
    }

    /// The value.
    ///
    /// # Errors
    /// The manifest that it was read from says something else here: it is damaged.
    pub(crate) fn get(&self) -> Result<T, Error> {
        serde_json::from_str(self.text()).map_err(failed("understand"))
    }

    /// Equal values have equal texts.
    pub(crate) fn text(&self) -> &str {
        self.0.get()
    }

    /// How many elements it has.
    pub(crate) fn len(&self) -> usize {
        serde_json::from_str(self.text()).map_or(0, |Count(count)| count)
    }
}

impl<T> PartialEq for Packed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

impl<T> Eq for Packed<T> {}

fn failed(action: &'static str) -> impl FnOnce(serde_json::Error) -> Error {
    move |error| {
        let path = PathBuf::from("what is said of a host in the set that is in force");
        Error::File(FileError { action, path, source: error.into() })
    }
}

/// The number of elements of a list or a map.
struct Count(usize);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Counter)
    }
}

struct Counter;

impl<'de> Visitor<'de> for Counter {
    type Value = Count;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list or a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Count, A::Error> {
        let mut count = 0;
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(Count(count))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Count, A::Error> {
        let mut count = 0;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(Count(count))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_is_packed_comes_out_again_and_is_counted() {
        let services: BTreeMap<String, String> =
            [("ntp", "udp"), ("a \"quoted\" one", "tcp")].map(|(a, b)| (a.to_owned(), b.to_owned())).into();
        let packed = Packed::of(&services).unwrap();
        assert_eq!((packed.get().unwrap(), packed.len()), (services, 2));
        let stored = serde_json::to_string(&packed).unwrap();
        let read: Packed<BTreeMap<String, String>> = serde_json::from_str(&stored).unwrap();
        assert_eq!(read, packed);
        assert_eq!(Packed::of(&vec![1, 2, 3]).unwrap().len(), 3);
    }

    #[test]
    fn what_is_something_else_is_no_value() {
        let read: Packed<Vec<u8>> = serde_json::from_str("{\"a\": 1}").unwrap();
        let error = read.get().unwrap_err().to_string();
        assert!(error.contains("cannot understand"), "{error}");
    }
}

//! What the `meta` of each [`ask`](crate::code::ask) and [`tell`](crate::code::tell) holds. All of it is plain values
//! and bytes, fit for a socket as it is.

use serde::{Deserialize, Serialize};

use crate::fields::{Fields, FieldsWriter, Malformed};
use crate::{Code, SharedBytes};

/// Which pipeline is to be run. `body` of the call is its input as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunMeta {
    /// Name of the pipeline, such as `org.example.order.history.v1`.
    pub pipeline: String,
}

impl RunMeta {
    /// As fields.
    #[must_use]
    pub fn encode(&self) -> SharedBytes {
        let mut fields = FieldsWriter::default();
        fields.put(&self.pipeline);
        fields.finish()
    }

    /// From fields.
    ///
    /// # Errors
    ///
    /// If they are malformed.
    pub fn decode(meta: &[u8]) -> Result<Self, Malformed> {
        let pipeline = Fields::new(meta).next_str()?.to_owned();
        Ok(Self { pipeline })
    }
}

/// What a run says beside its value, as JSON. Empty `meta` means that nothing is missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunReply {
    /// Steps of parallel groups whose part is missing from the value, because the operator allows that.
    #[serde(default)]
    pub missing: Vec<MissingStep>,
}

/// A step whose part is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingStep {
    /// `instance.step`.
    pub step: String,
    /// A sentence for the caller; no payload, no secret.
    pub reason: String,
}

/// A key of the cache, of a lock, or of `once`, and what is to happen to it. Keys belong to the instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyMeta {
    /// The key.
    pub key: String,
    /// For so many milliseconds. `None`: as long as there is room (cache only).
    pub ttl_ms: Option<u64>,
    /// Owner token of a lock.
    pub token: Option<String>,
    /// What is added to a number.
    pub by: i64,
}

impl KeyMeta {
    /// As fields.
    #[must_use]
    pub fn encode(&self) -> SharedBytes {
        let mut fields = FieldsWriter::with_capacity(64);
        fields
            .put(&self.key)
            .put_opt(self.ttl_ms.map(u64::to_le_bytes))
            .put_opt(self.token.as_ref())
            .put_u64(self.by.cast_unsigned());
        fields.finish()
    }

    /// From fields.
    ///
    /// # Errors
    ///
    /// If they are malformed.
    pub fn decode(meta: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::new(meta);
        Ok(Self {
            key: fields.next_str()?.to_owned(),
            ttl_ms: fields.next_opt_u64()?,
            token: fields.next_opt_str()?.map(str::to_owned),
            by: fields.next_u64()?.cast_signed(),
        })
    }
}

/// The answer to a [`KeyMeta`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyReply {
    /// A number, or 1 for "yes" and 0 for "no".
    pub number: i64,
    /// Owner token of a lock.
    pub token: Option<String>,
}

impl KeyReply {
    /// "Yes" or "no".
    #[must_use]
    pub fn answer(yes: bool) -> Self {
        Self {
            number: i64::from(yes),
            token: None,
        }
    }

    /// As fields.
    #[must_use]
    pub fn encode(&self) -> SharedBytes {
        let mut fields = FieldsWriter::with_capacity(48);
        fields
            .put_u64(self.number.cast_unsigned())
            .put_opt(self.token.as_ref());
        fields.finish()
    }

    /// From fields.
    ///
    /// # Errors
    ///
    /// If they are malformed.
    pub fn decode(meta: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::new(meta);
        Ok(Self {
            number: fields.next_u64()?.cast_signed(),
            token: fields.next_opt_str()?.map(str::to_owned),
        })
    }
}

/// One measure. Names and labels are the author's; the host bounds them and says whose they are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MetricTell<'a> {
    /// See [`metric`](crate::code::metric).
    pub kind: Code,
    /// Name, such as `orders_refused`.
    pub name: &'a str,
    /// What is added, set or observed.
    pub value: f64,
    /// Label names and values, one after the other: see [`Self::labels`].
    rest: Fields<'a>,
}

impl<'a> MetricTell<'a> {
    /// As fields.
    #[must_use]
    pub fn encode(kind: Code, name: &str, value: f64, labels: &[(&str, &str)]) -> Vec<u8> {
        let mut fields = FieldsWriter::with_capacity(64);
        fields
            .put_u64(u64::from(kind.0))
            .put(name)
            .put_u64(value.to_bits());
        for (label, value) in labels {
            fields.put(label).put(value);
        }
        fields.into_vec()
    }

    /// From fields, read in place.
    ///
    /// # Errors
    ///
    /// If they are malformed.
    pub fn read(input: &'a [u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::new(input);
        let kind = u32::try_from(fields.next_u64()?).map_err(|_| Malformed)?;
        let (name, value) = (fields.next_str()?, f64::from_bits(fields.next_u64()?));
        let read = Self {
            kind: Code(kind),
            name,
            value,
            rest: fields,
        };
        while !fields.is_empty() {
            fields.next_str()?;
            fields.next_str()?;
        }
        Ok(read)
    }

    /// Label names and values.
    pub fn labels(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let mut fields = self.rest;
        std::iter::from_fn(move || Some((fields.next_str().ok()?, fields.next_str().ok()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::metric;

    #[test]
    fn what_is_asked_comes_back_and_a_cut_is_noticed() {
        let meta = KeyMeta {
            key: "order/7".to_owned(),
            ttl_ms: Some(5_000),
            token: Some("t".to_owned()),
            by: -3,
        };
        let bytes = meta.encode();
        assert_eq!(KeyMeta::decode(&bytes), Ok(meta));
        let reply = KeyReply {
            number: -7,
            token: None,
        };
        assert_eq!(KeyReply::decode(&reply.encode()), Ok(reply));
        for cut in 0..bytes.len() {
            assert_eq!(KeyMeta::decode(&bytes[..cut]), Err(Malformed), "at {cut}");
        }
    }

    #[test]
    fn a_measure_is_read_in_place_with_its_labels() {
        let labels = [("outcome", "paid"), ("psp", "stripe")];
        let bytes = MetricTell::encode(metric::COUNTER, "orders", 1.5, &labels);
        let read = MetricTell::read(&bytes).unwrap();
        assert_eq!((read.kind, read.name), (metric::COUNTER, "orders"));
        assert!((read.value - 1.5).abs() < f64::EPSILON);
        assert_eq!(read.labels().collect::<Vec<_>>(), labels);
        assert!(MetricTell::read(&bytes[..bytes.len() - 1]).is_err());
    }
}

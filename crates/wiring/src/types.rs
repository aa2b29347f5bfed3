//! Message types with their schemas, of every plugin that knows them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use coordinator_abi::manifest;
use coordinator_message::MessageType;
use jsonschema::Validator;
use serde_json::Value;

use crate::finding::{Finding, Severity};

/// Every message type that some plugin knows.
#[derive(Debug, Default)]
pub struct Types(BTreeMap<MessageType, KnownType>);

/// One message type.
#[derive(Debug)]
pub struct KnownType {
    /// What it means.
    pub doc: String,
    /// What order holds within.
    pub lane: String,
    /// The field that orders it.
    pub key: Option<String>,
    /// Its different schemas, with the instances that declare them.
    schemas: Vec<Schema>,
}

#[derive(Debug)]
struct Schema {
    instances: Vec<String>,
    json: Value,
    validator: Validator,
}

/// A payload was refused.
#[derive(Debug, thiserror::Error)]
pub enum ValidateError {
    /// No plugin knows the type.
    #[error("no plugin knows the type `{0}`")]
    UnknownType(MessageType),
    /// Not JSON.
    #[error("the payload is not JSON")]
    NotJson(#[source] serde_json::Error),
    /// Breaks a schema.
    #[error(transparent)]
    Mismatch(#[from] SchemaMismatch),
}

/// A payload breaks the schema of its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`data{pointer}`: {reason} (schema of `{ty}` as `{instance}` declares it)")]
pub struct SchemaMismatch {
    /// The type.
    pub ty: MessageType,
    /// JSON pointer of the offending value ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)); empty for the whole
    /// payload.
    pub pointer: String,
    /// What was expected; never the value itself.
    pub reason: String,
    /// An instance that declares the broken schema.
    pub instance: String,
}

impl Types {
    /// A type, if some plugin knows it.
    #[must_use]
    pub fn get(&self, ty: &MessageType) -> Option<&KnownType> {
        self.0.get(ty)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&MessageType, &KnownType)> {
        self.0.iter()
    }

    /// Checks a payload against every schema of its type.
    ///
    /// # Errors
    ///
    /// The first thing that does not fit.
    pub fn validate(&self, ty: &MessageType, payload: &[u8]) -> Result<&KnownType, ValidateError> {
        let known = self
            .get(ty)
            .ok_or_else(|| ValidateError::UnknownType(ty.clone()))?;
        let value: Value = serde_json::from_slice(payload).map_err(ValidateError::NotJson)?;
        for schema in &known.schemas {
            if let Err(error) = schema.validator.validate(&value) {
                let instance = schema.instances.first().cloned().unwrap_or_default();
                let pointer = error.instance_path().to_string();
                let reason = error.masked_with("the value").to_string();
                return Err(SchemaMismatch {
                    ty: ty.clone(),
                    pointer,
                    reason,
                    instance,
                }
                .into());
            }
        }
        Ok(known)
    }

    /// Adds a type as `instance` declares it.
    pub(crate) fn add(
        &mut self,
        instance: &str,
        message: &manifest::Message,
        findings: &mut Vec<Finding>,
    ) {
        let mut refuse = |id: &'static str, text: String, hint: &str| {
            findings.push(Finding {
                id: Cow::Borrowed(id),
                severity: Severity::Error,
                subject: format!("{instance}: {}", message.ty),
                message: text,
                hint: hint.to_owned(),
            });
        };
        let ty: MessageType = match message.ty.parse() {
            Ok(ty) => ty,
            Err(error) => {
                return refuse(
                    "malformed-type",
                    error.to_string(),
                    "rename the type in the plugin",
                );
            }
        };
        let validator = match jsonschema::validator_for(&message.schema) {
            Ok(validator) => validator,
            Err(error) => {
                let text = format!("its JSON Schema is malformed: {error}");
                return refuse(
                    "malformed-schema",
                    text,
                    "build the plugin again with coordinator-sdk",
                );
            }
        };
        let lane = message.lane.clone().unwrap_or_else(|| message.ty.clone());
        let known = self.0.entry(ty).or_insert_with(|| KnownType {
            doc: message.doc.clone(),
            lane: lane.clone(),
            key: message.key.clone(),
            schemas: Vec::new(),
        });
        if known.lane != lane {
            let text = format!(
                "its lane is `{lane}` here and `{}` in another plugin",
                known.lane
            );
            refuse(
                "lane-conflict",
                text,
                "declare the type once, in a crate that both plugins use",
            );
        }
        known.add(instance, message, validator);
    }
}

impl KnownType {
    /// The schemas that differ, each with the instances that declare it.
    pub fn schemas(&self) -> impl Iterator<Item = (&[String], &Value)> {
        self.schemas
            .iter()
            .map(|schema| (schema.instances.as_slice(), &schema.json))
    }

    fn add(&mut self, instance: &str, message: &manifest::Message, validator: Validator) {
        match self
            .schemas
            .iter_mut()
            .find(|schema| schema.json == message.schema)
        {
            Some(same) => same.instances.push(instance.to_owned()),
            None => self.schemas.push(Schema {
                instances: vec![instance.to_owned()],
                json: message.schema.clone(),
                validator,
            }),
        }
    }
}

//! A flat list of byte fields: each a little-endian `u32` length and its bytes. `u32::MAX` means "absent".
//!
//! For calls on the hot path, where JSON would cost more than the call; and fit for a socket as it is.

use crate::SharedBytes;

const ABSENT: u32 = u32::MAX;

/// The bytes are not a list of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the other side of the plugin boundary sent malformed fields")
    }
}

impl std::error::Error for Malformed {}

/// Writes fields.
#[derive(Debug, Default)]
pub struct FieldsWriter(Vec<u8>);

impl FieldsWriter {
    /// With room for `capacity` bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// One field.
    pub fn put(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let bytes = bytes.as_ref();
        let len = u32::try_from(bytes.len()).unwrap_or(ABSENT);
        if len == ABSENT {
            // 4 GiB: bodies are capped far below. Keep the framing valid all the same.
            return self.put_opt(None::<&[u8]>);
        }
        self.0.extend_from_slice(&len.to_le_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    /// One field, or its absence.
    pub fn put_opt(&mut self, bytes: Option<impl AsRef<[u8]>>) -> &mut Self {
        match bytes {
            Some(bytes) => self.put(bytes),
            None => {
                self.0.extend_from_slice(&ABSENT.to_le_bytes());
                self
            }
        }
    }

    /// One number.
    pub fn put_u64(&mut self, number: u64) -> &mut Self {
        self.put(number.to_le_bytes())
    }

    /// The bytes.
    #[must_use]
    pub fn finish(self) -> SharedBytes {
        self.0.into()
    }
}

/// Reads fields in the order they were written.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Over these bytes.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Are there more?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next field; `None` if it is absent.
    ///
    /// # Errors
    ///
    /// If the bytes end too early.
    pub fn next_opt(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        let (len, rest) = self.0.split_first_chunk::<4>().ok_or(Malformed)?;
        let len = u32::from_le_bytes(*len);
        if len == ABSENT {
            self.0 = rest;
            return Ok(None);
        }
        let (field, rest) = rest.split_at_checked(len as usize).ok_or(Malformed)?;
        self.0 = rest;
        Ok(Some(field))
    }

    /// The next field.
    ///
    /// # Errors
    ///
    /// If it is absent, or the bytes end too early.
    pub fn next_bytes(&mut self) -> Result<&'a [u8], Malformed> {
        self.next_opt()?.ok_or(Malformed)
    }

    /// The next field as text.
    ///
    /// # Errors
    ///
    /// If it is absent or not UTF-8, or the bytes end too early.
    pub fn next_str(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.next_bytes()?).map_err(|_| Malformed)
    }

    /// The next field as text; `None` if it is absent.
    ///
    /// # Errors
    ///
    /// If it is not UTF-8, or the bytes end too early.
    pub fn next_opt_str(&mut self) -> Result<Option<&'a str>, Malformed> {
        self.next_opt()?
            .map(|bytes| std::str::from_utf8(bytes).map_err(|_| Malformed))
            .transpose()
    }

    /// The next field as a number.
    ///
    /// # Errors
    ///
    /// If it is not eight bytes, or the bytes end too early.
    pub fn next_u64(&mut self) -> Result<u64, Malformed> {
        self.next_bytes()?
            .try_into()
            .map(u64::from_le_bytes)
            .map_err(|_| Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_back_in_order_and_truncation_is_noticed() {
        let mut writer = FieldsWriter::default();
        writer.put("post").put_opt(None::<&str>).put("").put_u64(42);
        let bytes = writer.finish();
        let mut fields = Fields::new(&bytes);
        assert_eq!(fields.next_str(), Ok("post"));
        assert_eq!(fields.next_opt_str(), Ok(None));
        assert_eq!(fields.next_str(), Ok(""));
        assert_eq!(fields.next_u64(), Ok(42));
        assert!(fields.is_empty());

        for cut in 0..bytes.len() {
            let mut fields = Fields::new(&bytes[..cut]);
            let read = (|| -> Result<(), Malformed> {
                fields.next_str()?;
                fields.next_opt_str()?;
                fields.next_str()?;
                fields.next_u64().map(drop)
            })();
            assert_eq!(read, Err(Malformed), "cut at {cut}");
        }
    }
}

//! Error chains as they may be stored: redacted and bounded.

/// Entries of a chain that are kept.
const MAX_ENTRIES: usize = 16;
/// Bytes of one entry that are kept.
const MAX_ENTRY_BYTES: usize = 2 * 1024;

/// The first [`MAX_ENTRIES`] of `chain`, each redacted and then cut: a secret must not lose to the cut the half
/// that it would be recognised by.
pub(crate) fn tidy(chain: Vec<String>, redact: &dyn Fn(&str) -> String) -> Vec<String> {
    chain
        .into_iter()
        .take(MAX_ENTRIES)
        .map(|entry| cut(redact(&entry)))
        .collect()
}

fn cut(mut text: String) -> String {
    if text.len() > MAX_ENTRY_BYTES {
        let mark = '…';
        text.truncate(text.floor_char_boundary(MAX_ENTRY_BYTES - mark.len_utf8()));
        text.push(mark);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_redacted_and_bounded() {
        let chain = vec!["ä".repeat(5_000); 40];
        let tidied = tidy(chain, &|text| text.replace("ä", "éé"));
        assert_eq!(tidied.len(), MAX_ENTRIES);
        for entry in tidied {
            assert!(entry.len() <= MAX_ENTRY_BYTES);
            assert!(entry.ends_with("é…"));
        }
    }

    #[test]
    fn a_secret_across_the_cut_is_redacted_whole() {
        let text = format!("{}hunter2", "x".repeat(MAX_ENTRY_BYTES - 5));
        let tidied = tidy(vec![text], &|text| text.replace("hunter2", "[redacted]"));
        assert!(!tidied[0].contains("hunt"));
    }
}

//! The one place that derives names of child objects, hosts and data.

use sha2::{Digest, Sha256};

/// The longest DNS label, and so the longest name of a Service or label value.
pub const MAX_LABEL: usize = 63;
/// The longest name of a workload: its pods carry it with a revision hash of up to 11 characters in a label.
pub const MAX_WORKLOAD: usize = 52;
/// What a tenant's namespace begins with.
pub const NAMESPACE_PREFIX: &str = "customer-";
/// The longest name of a tenant, so that its namespace is a DNS label.
pub const MAX_TENANT: usize = MAX_LABEL - NAMESPACE_PREFIX.len();

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// `length` characters of a–z and 2–7 that follow from `text` alone (5 bits each, at most 51).
pub fn short_hash(text: &str, length: usize) -> String {
    let digest = Sha256::digest(text.as_bytes());
    (0..length.min(51))
        .map(|index| {
            let bit = index * 5;
            let pair = u16::from(digest[bit / 8]) << 8 | u16::from(*digest.get(bit / 8 + 1).unwrap_or(&0));
            let value = (pair >> (11 - bit % 8)) & 31;
            char::from(ALPHABET[usize::from(value)])
        })
        .collect()
}

/// The name of a child object: the parts joined by `-`, made DNS-safe, at most `max` characters.
///
/// A name that would be too long, or whose parts had to be changed, ends in a hash of the whole, so that two
/// different origins never meet in one name.
pub fn child_name(parts: &[&str], max: usize) -> String {
    let whole = parts.join("-");
    let safe: String = whole
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' })
        .collect();
    let fits = safe.len() <= max && safe == whole && is_label(&safe);
    if fits {
        return safe;
    }
    let hash = short_hash(&parts.join("\u{0}"), 8);
    let head: String = safe.trim_matches('-').chars().take(max.saturating_sub(hash.len() + 1)).collect();
    let head = head.trim_end_matches('-');
    let joined = if head.is_empty() { hash } else { format!("{head}-{hash}") };
    if joined.starts_with(|c: char| c.is_ascii_lowercase()) {
        joined
    } else {
        format!("x{}", joined.chars().skip(1).collect::<String>())
    }
}

/// Whether `text` is a DNS-1035 label: 1 to 63 of a–z, 0–9 and `-`, beginning with a letter.
pub fn is_label(text: &str) -> bool {
    text.len() <= MAX_LABEL
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// The namespace of the tenant called `tenant`.
pub fn tenant_namespace(tenant: &str) -> String {
    format!("{NAMESPACE_PREFIX}{tenant}")
}

/// The tenant whose namespace this is, or none where it is no tenant's.
pub fn tenant_of_namespace(namespace: &str) -> Option<&str> {
    namespace.strip_prefix(NAMESPACE_PREFIX).filter(|tenant| !tenant.is_empty())
}

/// The tenant's name for a user: its id without hyphens behind `u`, which is a DNS label for every UUID.
pub fn tenant_of_user(user_id: &str) -> String {
    let id: String = user_id.chars().filter(char::is_ascii_alphanumeric).collect();
    child_name(&[&format!("u{}", id.to_ascii_lowercase())], MAX_TENANT)
}

/// The name of the instance that a subscription makes: the app, for people, and what makes it the only one of its tenant.
pub fn instance_of_subscription(service: &str, subscription_id: &str) -> String {
    child_name(&[service, &short_hash(subscription_id, 8)], 40)
}

/// The id that an instance's platform host and, unless it restores older data, its data have: 12 characters
/// that follow from the instance's uid.
pub fn short_id(uid: &str) -> String {
    let id = short_hash(uid, 12);
    // A name begins with a letter.
    if id.starts_with(|c: char| c.is_ascii_digit()) { format!("d{}", &id[1..]) } else { id }
}

/// The platform's host for an instance.
pub fn platform_host(uid: &str, zone: &str) -> String {
    format!("{}.{zone}", short_id(uid))
}

/// The DNS name at which a TXT record proves that a custom host may be used.
pub fn verification_name(host: &str) -> String {
    format!("_nakhoda.{host}")
}

/// What that TXT record says: it follows from the tenant's name alone, so that a host can move between the instances of a tenant,
/// and tells nobody who the tenant is.
pub fn verification_value(tenant: &str) -> String {
    format!("nakhoda={}", short_hash(&format!("domains\u{0}{tenant}"), 32))
}

/// The name of a volume claim: by its data, not by its instance, which it outlives.
pub fn data_volume(data_id: &str, component: &str, volume: &str) -> String {
    child_name(&["data", data_id, component, volume], MAX_LABEL)
}

/// The name of the Secret with everything that was generated for the data.
pub fn data_secret(data_id: &str) -> String {
    child_name(&["data", data_id, "secrets"], MAX_LABEL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn short_plain_names_stay_readable() {
        assert_eq!(child_name(&["shop", "db"], MAX_LABEL), "shop-db");
        assert_eq!(
            tenant_of_user("0198C2f4-0000-7000-8000-00000000beef"),
            "u0198c2f4000070008000".to_owned() + "00000000beef"
        );
    }

    #[test]
    fn parts_that_join_alike_meet_only_when_nothing_was_changed() {
        assert_ne!(child_name(&["a.b"], MAX_LABEL), child_name(&["a-b"], MAX_LABEL));
    }

    #[test]
    fn a_short_id_is_stable_for_ever() {
        assert_eq!(
            short_id("6b9c2a54-9d1e-4f6e-9a62-3c1f6f3f0a11"),
            short_id("6b9c2a54-9d1e-4f6e-9a62-3c1f6f3f0a11")
        );
        insta::assert_snapshot!(short_id("6b9c2a54-9d1e-4f6e-9a62-3c1f6f3f0a11"));
    }

    proptest! {
        #[test]
        fn every_name_is_a_label_within_its_limit(parts in prop::collection::vec(".{0,80}", 1..4), max in 20usize..=63) {
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            let name = child_name(&parts, max);
            prop_assert!(name.len() <= max && is_label(&name), "{name}");
        }

        #[test]
        fn long_names_that_differ_stay_different(a in "[a-z]{70,90}", b in "[a-z]{70,90}") {
            prop_assume!(a != b);
            prop_assert_ne!(child_name(&[&a], MAX_LABEL), child_name(&[&b], MAX_LABEL));
        }

        #[test]
        fn short_ids_are_labels(uid in "[0-9a-f-]{36}") {
            prop_assert!(is_label(&short_id(&uid)));
        }
    }
}

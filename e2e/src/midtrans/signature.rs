//! The signature of a notification.

use sha2::{Digest as _, Sha512};

/// SHA-512 of the four values put together as they stand, in lower-case hex.
pub fn sign(order_id: &str, status_code: &str, gross_amount: &str, key: &str) -> String {
    let mut hash = Sha512::new();
    for part in [order_id, status_code, gross_amount, key] {
        hash.update(part);
    }
    hash.finalize().iter().fold(String::with_capacity(128), |mut text, byte| {
        for half in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(half), 16).unwrap_or('0'));
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::sign;

    #[test]
    fn known_values_give_known_signatures() {
        let signed = sign("1111", "200", "100000.00", "askvnoibnosifnboseofinbofinfgbiufglnbfg");
        assert_eq!(
            signed,
            "edc076b21793ebe3e17926350f5b8ae67d902fe657b3d0aa31b932d5c127e2375d308a2bc94f3265ac2d80a1f181a79b\
             997ac178a236fcff35af263fc4d4c231"
        );
        let signed = sign("TOPUP-0001", "200", "10000.00", "SB-Mid-server-TESTKEY");
        assert_eq!(
            signed,
            "73f2ad6d6fdebec87ddd4f3f1aae3c1a040e79393f708d85c6453f6170b1ec6a33835eb7ba6edeea3bcce00d26092fe8\
             75ac1cf60d581861d95c6d232720d675"
        );
        let signed = sign("TOPUP-0001", "202", "10000.00", "SB-Mid-server-TESTKEY");
        assert_eq!(
            signed,
            "9b0e89cb61e572317712e1c0c65339f519de1785f7cc5d477338427f319d2fe35d5ff27fa11ebe5e916058968e97b122\
             04eb42fa2b0a6ceb53302f39d40cfe5a"
        );
    }

    #[test]
    fn nothing_parts_the_values() {
        assert_eq!(sign("A1", "200", "5.00", "k"), sign("A", "1200", "5.00", "k"));
    }
}

//! The ways to pay, and what differs between them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A way to pay, named as a request to Snap names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the name of a way to pay, and nothing more")]
pub enum Method {
    CreditCard,
    BcaVa,
    BniVa,
    BriVa,
    CimbVa,
    OtherVa,
    PermataVa,
    Echannel,
    Gopay,
    #[serde(alias = "qris")]
    OtherQris,
    Shopeepay,
    Dana,
    Indomaret,
    Alfamart,
    Akulaku,
    Kredivo,
    CimbClicks,
    BcaKlikbca,
    BcaKlikpay,
    BriEpay,
    DanamonOnline,
    UobEzpay,
}

/// All of them, in the order of the page.
pub const ALL: [Method; 22] = [
    Method::CreditCard,
    Method::BcaVa,
    Method::BniVa,
    Method::BriVa,
    Method::CimbVa,
    Method::OtherVa,
    Method::PermataVa,
    Method::Echannel,
    Method::Gopay,
    Method::OtherQris,
    Method::Shopeepay,
    Method::Dana,
    Method::Indomaret,
    Method::Alfamart,
    Method::Akulaku,
    Method::Kredivo,
    Method::CimbClicks,
    Method::BcaKlikbca,
    Method::BcaKlikpay,
    Method::BriEpay,
    Method::DanamonOnline,
    Method::UobEzpay,
];

const MINUTE: i64 = 60;
const DAY: i64 = 24 * 60 * MINUTE;

impl Method {
    /// The method of a name.
    pub fn parse(name: &str) -> Option<Self> {
        if name == "qris" {
            return Some(Self::OtherQris);
        }
        ALL.into_iter().find(|method| method.name() == name)
    }

    /// Its name in `enabled_payments`.
    pub fn name(self) -> &'static str {
        match self {
            Self::CreditCard => "credit_card",
            Self::BcaVa => "bca_va",
            Self::BniVa => "bni_va",
            Self::BriVa => "bri_va",
            Self::CimbVa => "cimb_va",
            Self::OtherVa => "other_va",
            Self::PermataVa => "permata_va",
            Self::Echannel => "echannel",
            Self::Gopay => "gopay",
            Self::OtherQris => "other_qris",
            Self::Shopeepay => "shopeepay",
            Self::Dana => "dana",
            Self::Indomaret => "indomaret",
            Self::Alfamart => "alfamart",
            Self::Akulaku => "akulaku",
            Self::Kredivo => "kredivo",
            Self::CimbClicks => "cimb_clicks",
            Self::BcaKlikbca => "bca_klikbca",
            Self::BcaKlikpay => "bca_klikpay",
            Self::BriEpay => "bri_epay",
            Self::DanamonOnline => "danamon_online",
            Self::UobEzpay => "uob_ezpay",
        }
    }

    /// Its `payment_type` in notifications, which is another name.
    pub fn payment_type(self) -> &'static str {
        match self {
            Self::BcaVa | Self::BniVa | Self::BriVa | Self::CimbVa | Self::OtherVa | Self::PermataVa => {
                "bank_transfer"
            }
            Self::OtherQris => "qris",
            Self::Indomaret | Self::Alfamart => "cstore",
            other => other.name(),
        }
    }

    /// Whether its money may go back within minutes: settlement, then deny.
    pub fn is_reversible(self) -> bool {
        matches!(self, Self::PermataVa | Self::Echannel | Self::Indomaret)
    }

    /// Days within which it can be refunded by the API; none: never.
    pub fn refund_days(self) -> Option<i64> {
        match self {
            Self::OtherQris => Some(45),
            Self::Gopay => Some(180),
            Self::Shopeepay | Self::CreditCard => Some(365),
            Self::Kredivo => Some(14),
            Self::Akulaku | Self::Dana => Some(30),
            _ => None,
        }
    }

    /// Whether its transactions are known by their own id alone, and its notifications name the order otherwise.
    pub fn hides_order(self) -> bool {
        self == Self::Dana
    }

    /// Whether an `Idempotency-Key` means nothing to it.
    pub fn ignores_idempotency(self) -> bool {
        matches!(self, Self::PermataVa | Self::CimbClicks | Self::BcaKlikbca | Self::Indomaret)
    }

    /// How long it can be paid unless the order says otherwise, in seconds.
    pub fn life(self) -> i64 {
        match self {
            Self::CreditCard => 10 * MINUTE,
            Self::Gopay | Self::OtherQris | Self::Shopeepay | Self::Dana => 15 * MINUTE,
            Self::CimbClicks | Self::BcaKlikbca | Self::BcaKlikpay | Self::BriEpay | Self::DanamonOnline => {
                120 * MINUTE
            }
            _ => DAY,
        }
    }

    /// The least and the most it takes, in rupiah.
    pub fn range(self) -> (i64, i64) {
        match self {
            Self::CreditCard => (10_000, 999_999_999),
            Self::BcaVa => (10_000, 20_000_000_000),
            Self::CimbVa => (1, 250_000_000),
            Self::OtherQris => (1, 10_000_000),
            Self::Gopay | Self::Shopeepay | Self::Dana => (1, 20_000_000),
            Self::Indomaret => (10_000, 5_000_000),
            Self::Alfamart => (1, 5_000_000),
            Self::Akulaku => (5_000, i64::MAX),
            _ => (1, i64::MAX),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

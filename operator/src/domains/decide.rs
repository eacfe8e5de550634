//! Whose a custom host is: a pure function of what DNS said, of what was known of the host before, and of the other instances
//! that ask for it.

use super::records::Proof;
use crds::instance::{DnsRecord, DomainStatus};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// What a host is to the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Somebody's own: DNS decides.
    Custom,
    /// Within the platform's zone: an administrator gave it, or the API server would have refused it.
    Zone,
    /// The instance's own platform host, which is routed anyway.
    Own,
    /// The platform host of another instance.
    Anothers,
}

/// Another instance that asks for the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rival {
    /// Its uid.
    pub uid: String,
    /// Its name, where it is of the same tenant; nothing is told of others.
    pub name: Option<String>,
    /// Since when it is verified, if it is.
    pub verified_since: Option<Timestamp>,
    /// Whether its records are gone.
    pub missing: bool,
    /// Whether it is routed there.
    pub routed: bool,
}

/// Everything about one host that is decided by.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The host.
    pub host: &'a str,
    /// The instance that asks for it.
    pub uid: &'a str,
    /// What it is to the platform.
    pub place: Place,
    /// The records that would prove it.
    pub records: Vec<DnsRecord>,
    /// What its status said before.
    pub before: Option<&'a DomainStatus>,
    /// Whether DNS is asked for this instance. While it is not, nothing is proven anew; what others have DNS say still refutes.
    pub may_ask: bool,
    /// What DNS said; none while it was not asked yet.
    pub proof: Option<Proof>,
    /// Who else asks for it.
    pub rivals: &'a [Rival],
    /// For how long its records must be gone until it is taken off.
    pub lapse_after: SignedDuration,
}

/// What was decided of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// What is said of it, as if it were routed wherever it is the instance's.
    pub status: DomainStatus,
    /// Whether it is the instance's.
    pub is_ours: bool,
}

/// The host's records were seen.
pub const VERIFIED: &str = crds::reasons::DOMAIN_VERIFIED;
/// A record that was seen is gone.
pub const RECORD_MISSING: &str = crds::reasons::DOMAIN_RECORD_MISSING;
/// No record was seen.
pub const UNVERIFIED: &str = crds::reasons::DOMAIN_UNVERIFIED;
/// DNS was not asked yet.
pub const CHECKING: &str = crds::reasons::DOMAIN_CHECKING;
/// DNS is not asked before the instance may run.
pub const NOT_ASKED: &str = crds::reasons::DOMAIN_NOT_ASKED;
/// DNS does not answer.
pub const LOOKUP_FAILED: &str = crds::reasons::DOMAIN_LOOKUP_FAILED;
/// Another instance has it.
pub const TAKEN: &str = crds::reasons::HOST_TAKEN;
/// It is the platform's own host of the instance.
pub const PLATFORM_HOST: &str = crds::reasons::PLATFORM_HOST;

/// What is known of the host's proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    verified_since: Option<Timestamp>,
    missing_since: Option<Timestamp>,
}

fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

impl Question<'_> {
    fn standing(&self, now: Timestamp) -> Standing {
        let before = self.before.filter(|before| before.verified);
        let since = before.and_then(|before| before.verified_since.as_ref()).map(|time| time.0);
        let missing = before.and_then(|before| before.missing_since.as_ref()).map(|time| time.0);
        let now = whole_second(now);
        let proof = if self.place == Place::Custom { self.proof } else { Some(Proof::Proven) };
        match proof {
            Some(Proof::Proven) if self.place == Place::Custom && !self.may_ask && since.is_none() => {
                Standing { verified_since: None, missing_since: None }
            }
            Some(Proof::Proven) => Standing { verified_since: since.or(Some(now)), missing_since: None },
            // While nobody knows, what was known stays.
            None | Some(Proof::Unknown) => Standing { verified_since: since, missing_since: missing },
            Some(Proof::Refuted) => {
                let missing = missing.unwrap_or(now);
                let proven_by_another =
                    self.rivals.iter().any(|rival| rival.verified_since.is_some() && !rival.missing);
                let has_lapsed = now.duration_since(missing) >= self.lapse_after;
                let kept = since.filter(|_| !proven_by_another && !has_lapsed);
                Standing { verified_since: kept, missing_since: kept.map(|_| missing) }
            }
        }
    }

    /// The one that comes before us, if any: whose records stand, then who is routed already, then who was verified first, then by
    /// uid.
    fn ahead(&self, since: Timestamp, missing: bool) -> Option<&Rival> {
        let routed = self.before.is_some_and(|before| before.routed);
        let ours = (missing, !routed, since, self.uid);
        self.rivals.iter().find(|rival| {
            rival
                .verified_since
                .is_some_and(|since| (rival.missing, !rival.routed, since, rival.uid.as_str()) < ours)
        })
    }

    /// Decides.
    pub fn decide(&self, now: Timestamp) -> Decided {
        let standing = self.standing(now);
        if self.place == Place::Own {
            return self.decided(standing, PLATFORM_HOST, "It is the platform's own host of the instance.");
        }
        if self.place == Place::Anothers {
            let message = "It is the platform's host of another instance. Take it out of spec.domains.";
            return self.taken(Standing { verified_since: None, missing_since: None }, message);
        }
        let Some(since) = standing.verified_since else { return self.unverified(standing) };
        if let Some(ahead) = self.ahead(since, standing.missing_since.is_some()) {
            return self.lost_to(standing, ahead.name.as_deref());
        }
        if standing.missing_since.is_some() {
            let message = "Its DNS records are gone. It stays routed for a while: set one of them again, or take the host out of \
                           spec.domains.";
            return self.decided(standing, RECORD_MISSING, message);
        }
        self.decided(standing, VERIFIED, "It is verified and routed.")
    }

    /// The same where something still stands in the way, which a later reconcile will not find any more.
    pub fn still_held(&self, now: Timestamp) -> Decided {
        self.lost_to(self.standing(now), None)
    }

    fn lost_to(&self, standing: Standing, name: Option<&str>) -> Decided {
        let message = match name {
            Some(name) => format!(
                "Its record was seen, but your instance {name} has the host. Take it out of that one's spec.domains to have it here."
            ),
            None => "Its record was seen, but another instance has the host, and was verified first. It is routed here as soon as \
                     that one lets it go."
                .to_owned(),
        };
        self.taken(standing, &message)
    }

    fn unverified(&self, standing: Standing) -> Decided {
        // A new leader has not asked yet; what was said before holds until it has, or every restart would write it anew twice.
        let before =
            self.before.filter(|before| [UNVERIFIED, LOOKUP_FAILED].contains(&before.reason.as_str()));
        let proof = self.proof.filter(|_| self.may_ask);
        if let (None, Some(before)) = (proof, before) {
            return self.status(standing, &before.reason, &before.message, false);
        }
        let (reason, message) = match proof {
            None if !self.may_ask => (
                NOT_ASKED,
                "Its DNS records are looked for once the instance has its place in the tenant's quota and may run. They can be \
                 set before.",
            ),
            None => (CHECKING, "Its DNS records are being looked for; this takes seconds."),
            Some(Proof::Unknown) => (
                LOOKUP_FAILED,
                "DNS did not answer. It is asked again; if this lasts, look at the domain's name servers, or have an \
                 administrator look at those in the operator's settings.",
            ),
            Some(_) => (
                UNVERIFIED,
                "None of its DNS records was seen. Set one of those in records with the domain's DNS provider; they are looked \
                 for again and again.",
            ),
        };
        self.status(standing, reason, message, false)
    }

    fn taken(&self, standing: Standing, message: &str) -> Decided {
        self.status(standing, TAKEN, message, false)
    }

    fn decided(&self, standing: Standing, reason: &str, message: &str) -> Decided {
        self.status(standing, reason, message, true)
    }

    fn status(&self, standing: Standing, reason: &str, message: &str, is_ours: bool) -> Decided {
        let status = DomainStatus {
            host: self.host.to_owned(),
            records: self.records.clone(),
            verified: standing.verified_since.is_some(),
            verified_since: standing.verified_since.map(Time),
            missing_since: standing.missing_since.map(Time),
            routed: is_ours,
            reason: reason.to_owned(),
            message: message.to_owned(),
        };
        Decided { status, is_ours }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: SignedDuration = SignedDuration::from_hours(1);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn ask<'a>(proof: Option<Proof>, before: Option<&'a DomainStatus>, rivals: &'a [Rival]) -> Question<'a> {
        Question {
            host: "shop.example.com",
            uid: "m",
            place: Place::Custom,
            records: Vec::new(),
            before,
            may_ask: true,
            proof,
            rivals,
            lapse_after: HOUR,
        }
    }

    fn rival(uid: &str, since: Option<i64>) -> Rival {
        let verified_since = since.map(at);
        Rival { uid: uid.to_owned(), name: None, verified_since, missing: false, routed: false }
    }

    fn says(decided: &Decided) -> (&str, bool) {
        (decided.status.reason.as_str(), decided.is_ours)
    }

    #[test]
    fn it_is_routed_once_a_record_was_seen_and_not_before() {
        let none = ask(None, None, &[]).decide(at(0));
        assert_eq!(says(&none), (CHECKING, false));
        let refuted = ask(Some(Proof::Refuted), Some(&none.status), &[]).decide(at(1));
        assert_eq!(says(&refuted), (UNVERIFIED, false));
        let unknown = ask(Some(Proof::Unknown), Some(&refuted.status), &[]).decide(at(2));
        assert_eq!(says(&unknown), (LOOKUP_FAILED, false));
        let proven = ask(Some(Proof::Proven), Some(&unknown.status), &[]).decide(at(3));
        assert_eq!(
            (says(&proven), proven.status.verified_since.clone()),
            ((VERIFIED, true), Some(Time(at(3))))
        );
        let later = ask(Some(Proof::Proven), Some(&proven.status), &[]).decide(at(90));
        assert_eq!(later, proven);
    }

    #[test]
    fn failing_lookups_and_a_restart_take_nothing_off() {
        let proven = ask(Some(Proof::Proven), None, &[]).decide(at(0));
        for proof in [None, Some(Proof::Unknown)] {
            assert_eq!(ask(proof, Some(&proven.status), &[]).decide(at(1_000_000)), proven);
        }
    }

    #[test]
    fn a_restart_says_nothing_new_of_what_was_not_verified() {
        for proof in [Proof::Refuted, Proof::Unknown] {
            let said = ask(Some(proof), None, &[]).decide(at(0));
            assert_eq!(ask(None, Some(&said.status), &[]).decide(at(60)), said);
        }
    }

    #[test]
    fn what_dns_is_not_asked_for_proves_nothing_keeps_what_it_had_and_is_told_when_that_changes() {
        fn unasked(proof: Option<Proof>, before: Option<&DomainStatus>) -> Decided {
            Question { may_ask: false, ..ask(proof, before, &[]) }.decide(at(50))
        }
        for proof in [None, Some(Proof::Unknown), Some(Proof::Refuted), Some(Proof::Proven)] {
            let never = unasked(proof, None);
            assert_eq!((says(&never), never.status.verified), ((NOT_ASKED, false), false), "{proof:?}");
            assert_eq!(unasked(proof, Some(&never.status)), never, "{proof:?}");
        }
        assert!(unasked(None, None).status.message.contains("once the instance has its place"));
        let checking = ask(None, None, &[]).decide(at(0));
        assert_eq!(says(&unasked(None, Some(&checking.status))), (NOT_ASKED, false));
        let refuted = ask(Some(Proof::Refuted), None, &[]).decide(at(0));
        assert_eq!(unasked(None, Some(&refuted.status)), refuted);
        assert_eq!(
            says(&ask(None, Some(&unasked(None, None).status), &[]).decide(at(60))),
            (CHECKING, false)
        );
    }

    #[test]
    fn what_was_verified_stays_while_dns_is_not_asked_until_another_proves_it() {
        let proven = ask(Some(Proof::Proven), None, &[]).decide(at(0));
        let unasked = |proof, rivals| {
            let question = Question { may_ask: false, ..ask(proof, Some(&proven.status), rivals) };
            question.decide(at(50))
        };
        assert_eq!(unasked(None, &[]), proven);
        assert_eq!(unasked(Some(Proof::Proven), &[]), proven);
        let theirs = [rival("z", Some(40))];
        assert_eq!(says(&unasked(Some(Proof::Refuted), &theirs)), (NOT_ASKED, false));
        assert!(unasked(Some(Proof::Unknown), &theirs).is_ours, "no answer is no proof of anything");
    }

    #[test]
    fn only_a_long_certainty_that_the_records_are_gone_takes_it_off() {
        let proven = ask(Some(Proof::Proven), None, &[]).decide(at(0));
        let gone = ask(Some(Proof::Refuted), Some(&proven.status), &[]).decide(at(10));
        assert_eq!(
            (says(&gone), gone.status.missing_since.clone()),
            ((RECORD_MISSING, true), Some(Time(at(10))))
        );
        let unknown = ask(Some(Proof::Unknown), Some(&gone.status), &[]).decide(at(9000));
        assert_eq!(unknown, gone, "what nobody knows is no certainty, however long it lasts");
        let back = ask(Some(Proof::Proven), Some(&unknown.status), &[]).decide(at(9001));
        assert_eq!(back, proven, "verified as long as before");
        let lapsed = ask(Some(Proof::Refuted), Some(&gone.status), &[]).decide(at(10 + 3600));
        assert_eq!((says(&lapsed), lapsed.status.verified), ((UNVERIFIED, false), false));
    }

    #[test]
    fn the_first_verified_has_it_and_nothing_is_told_of_it() {
        let older = [rival("z", Some(-5))];
        let lost = ask(Some(Proof::Proven), None, &older).decide(at(0));
        assert_eq!(says(&lost), (TAKEN, false));
        assert!(lost.status.verified, "it is next in turn");
        let younger = [rival("a", Some(5)), rival("b", None)];
        assert!(ask(Some(Proof::Proven), Some(&lost.status), &younger).decide(at(9)).is_ours);
        let same = [Rival { name: Some("blog".to_owned()), ..older[0].clone() }];
        assert!(
            ask(Some(Proof::Proven), None, &same).decide(at(0)).status.message.contains("instance blog has")
        );
    }

    #[test]
    fn who_is_routed_stays_so_though_another_says_it_was_verified_at_the_same_time() {
        let proven = ask(Some(Proof::Proven), None, &[]).decide(at(0));
        let same_second = [rival("a", Some(0))];
        assert!(ask(Some(Proof::Proven), Some(&proven.status), &same_second).decide(at(1)).is_ours);
        assert!(!ask(Some(Proof::Proven), None, &same_second).decide(at(0)).is_ours, "by uid");
    }

    #[test]
    fn who_proves_it_gets_it_from_one_whose_records_are_gone_and_keeps_it() {
        let proven = ask(Some(Proof::Proven), None, &[]).decide(at(0));
        let rivals = [rival("z", Some(100))];
        let gone = ask(Some(Proof::Refuted), Some(&proven.status), &rivals).decide(at(100));
        assert_eq!((says(&gone), gone.status.verified), ((UNVERIFIED, false), false));
        let theirs = [Rival { missing: true, routed: true, ..rival("a", Some(0)) }];
        assert!(ask(Some(Proof::Proven), None, &theirs).decide(at(100)).is_ours, "seen from the other side");
        let back = ask(Some(Proof::Proven), Some(&gone.status), &rivals).decide(at(200));
        assert_eq!(says(&back), (TAKEN, false));
    }

    #[test]
    fn hosts_of_the_platform_need_no_record_and_are_nobody_elses() {
        let with = |place| Question { place, ..ask(None, None, &[]) }.decide(at(0));
        assert_eq!(says(&with(Place::Zone)), (VERIFIED, true));
        assert_eq!(says(&with(Place::Own)), (PLATFORM_HOST, true));
        assert_eq!(says(&with(Place::Anothers)), (TAKEN, false));
        let older = [rival("z", Some(-5))];
        let lost = Question { place: Place::Zone, ..ask(None, None, &older) }.decide(at(0));
        assert_eq!(says(&lost), (TAKEN, false));
    }

    proptest! {
        /// Of any instances that ask for one host, each judging itself against all others, at most one has it.
        #[test]
        fn never_two_have_it(
            all in prop::collection::btree_map(
                "[a-z]{1,3}", (prop::option::of(0i64..3), any::<bool>(), any::<bool>()), 1..6,
            )
        ) {
            let rivals: Vec<Rival> = all
                .iter()
                .map(|(uid, (since, missing, routed))| Rival { missing: *missing, routed: *routed, ..rival(uid, *since) })
                .collect();
            let ours = rivals.iter().filter(|me| {
                let others: Vec<Rival> = rivals.iter().filter(|other| other.uid != me.uid).cloned().collect();
                let before = DomainStatus {
                    verified: me.verified_since.is_some(),
                    verified_since: me.verified_since.map(Time),
                    missing_since: me.missing.then(|| Time(at(0))),
                    routed: me.routed,
                    ..DomainStatus::default()
                };
                Question { uid: &me.uid, ..ask(Some(Proof::Unknown), Some(&before), &others) }.decide(at(1)).is_ours
            });
            prop_assert!(ours.count() <= 1);
        }
    }
}

//! Custom hosts, with a name server of the test's own: routed once a record was seen, for one instance only, and for as long as
//! nobody says for certain that the record is gone.

mod unbuildable;

use std::time::Duration;

use anyhow::{Context as _, Result};
use crds::instance::{DnsRecord, DomainStatus, Phase};
use crds::{ServiceInstance, conditions, names};
use e2e::wait;
use k8s_openapi::api::networking::v1::Ingress;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::world::{BOUND, Dns, Instance, RunningOperator, Tenant, World, block_on};

/// For how long what the name server says counts, in seconds.
const TTL: u32 = 3;
/// For how long a record must be gone until its host is taken off, in seconds.
const LAPSE: u32 = 4;

/// What a question may have been on its way.
const SLACK: Duration = Duration::from_millis(100);

/// Looks often, so that the story is short; only the time to live keeps it from looking more often.
fn settings(dns: &Dns) -> Value {
    json!({
        "zone": "apps.example.test",
        "domains": {
            "nameservers": [dns.address()], "timeoutSeconds": 1, "shortestTtlSeconds": 1,
            "recheckUnverifiedSeconds": 1, "recheckVerifiedSeconds": 1, "lapseAfterSeconds": LAPSE,
        },
    })
}

/// A site that runs, with these hosts.
async fn site(tenant: &Tenant, name: &str, hosts: &[&str]) -> Result<Instance> {
    let parameters = json!({"title": "A shop", "adminUser": "keeper", "adminEmail": "keeper@example.com"});
    let spec = json!({"planRef": "wordpress-small", "parameters": parameters, "domains": hosts});
    let site = tenant.instance(name, spec).await?;
    site.entitle().await?;
    site.settled_in(Phase::Running, BOUND).await?;
    Ok(site)
}

fn limits() -> Value {
    json!({"instances": 10, "cpu": "20", "memory": "40Gi", "storage": "400Gi"})
}

fn said<'a>(instance: &'a ServiceInstance, host: &str) -> Option<&'a DomainStatus> {
    instance.status.as_ref()?.domains.iter().find(|one| one.host == host)
}

fn reason(instance: &ServiceInstance, host: &str) -> String {
    said(instance, host).map(|one| one.reason.clone()).unwrap_or_default()
}

fn is_ready(instance: &ServiceInstance) -> bool {
    instance.is(conditions::READY) && instance.is(conditions::DOMAINS_READY)
}

/// The names of the Ingresses in all tenants' namespaces that lead to a host.
async fn routes(world: &World, host: &str) -> Result<Vec<String>> {
    let all = Api::<Ingress>::all(world.admin()).list(&ListParams::default()).await?.items;
    let leads = |ingress: &Ingress| {
        let rules = ingress.spec.as_ref().and_then(|spec| spec.rules.clone()).unwrap_or_default();
        rules.iter().any(|rule| rule.host.as_deref() == Some(host))
    };
    let name = |ingress: &Ingress| ingress.metadata.namespace.clone().unwrap_or_default();
    Ok(all.iter().filter(|one| leads(one)).map(name).collect())
}

fn record<'a>(status: &'a DomainStatus, kind: &str) -> Result<&'a DnsRecord> {
    status.records.iter().find(|one| one.type_ == kind).context("status tells the record")
}

async fn waits_until_lookups_fail(operator: &RunningOperator, more: u64) -> Result<()> {
    let count = async || -> Result<u64> {
        let text = operator.metrics().await?;
        let line = text.lines().find(|line| {
            line.starts_with("nakhoda_operator_domain_lookups_total{") && line.contains("\"failed\"")
        });
        Ok(line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0))
    };
    let before = count().await?;
    wait::until("lookups to fail", BOUND, async || Ok((count().await? >= before + more).then_some(()))).await
}

#[test]
fn a_host_is_routed_once_its_record_was_seen_and_as_long_as_it_is_not_known_to_be_gone() -> Result<()> {
    const HOST: &str = "shop.example.com";
    block_on(async {
        let world = World::shared_stories().await?;
        let dns = Dns::start(TTL).await?;
        let operator = world.operator_with("a", &settings(&dns)).await?;
        let tenant = world.tenant("hosts", limits()).await?;
        let shop = site(&tenant, "shop", &[HOST]).await?;

        let asked =
            shop.wait_for("told what to do", BOUND, |it| reason(it, HOST) == "DomainUnverified").await?;
        assert!(
            asked.is(conditions::READY) && !asked.is(conditions::DOMAINS_READY),
            "the app itself is well"
        );
        assert_eq!(routes(&world, HOST).await?, [""; 0]);
        let host = said(&asked, HOST).context("it is told")?.clone();
        let (txt, cname) = (record(&host, "TXT")?, record(&host, "CNAME")?);
        assert_eq!((txt.name.as_str(), cname.name.as_str()), ("_nakhoda.shop.example.com", HOST));
        assert_eq!(cname.value, names::platform_host(&shop.uid().await?, "apps.example.test"));

        // Asked again and again, but never before the answer's time to live is over.
        wait::until("three looks", BOUND, async || Ok((dns.pauses(&txt.name).len() >= 2).then_some(())))
            .await?;
        let early = dns
            .pauses(&txt.name)
            .into_iter()
            .find(|pause| *pause + SLACK < Duration::from_secs(u64::from(TTL)));
        assert_eq!(early, None, "asked again before its time to live was over");

        dns.add(txt)?;
        // The app is started anew once, since it calls itself by that host now.
        let serves = |it: &ServiceInstance| is_ready(it) && it.is(conditions::READY);
        let routed = shop.wait_for("verified, routed and up", BOUND, serves).await?;
        assert_eq!(routes(&world, HOST).await?, [tenant.namespace()]);
        let public = routed.status.as_ref().and_then(|status| status.endpoints.as_ref()?.public.clone());
        assert_eq!(public.as_deref(), Some("https://shop.example.com"));

        dns.silent(true);
        waits_until_lookups_fail(&operator, 2).await?;
        operator.restart().await?;
        waits_until_lookups_fail(&operator, 1).await?;
        assert_eq!(shop.get().await?.status, routed.status, "nobody knows, so nothing changes");
        assert_eq!(routes(&world, HOST).await?, [tenant.namespace()]);

        dns.clear();
        dns.silent(false);
        shop.wait_for("warned", BOUND, |it| reason(it, HOST) == "RecordMissing" && is_ready(it)).await?;
        let is_off =
            |it: &ServiceInstance| reason(it, HOST) == "DomainUnverified" && it.is(conditions::READY);
        let off = shop.wait_for("taken off, and up", BOUND + BOUND, is_off).await?;
        assert!(!is_ready(&off));
        assert_eq!(routes(&world, HOST).await?, [""; 0]);

        // The other way to prove it.
        dns.add(cname)?;
        shop.wait_for("verified and routed again", BOUND, is_ready).await?;
        shop.delete().await?;
        shop.gone(BOUND).await
    })
}

#[test]
fn a_host_is_one_instances_only_and_the_next_gets_it_once_it_is_let_go() -> Result<()> {
    const HOST: &str = "www.example.com";
    block_on(async {
        let world = World::shared_stories().await?;
        let dns = Dns::start(1).await?;
        let _operator = world.operator_with("a", &settings(&dns)).await?;
        let (first, second) =
            (world.tenant("first", limits()).await?, world.tenant("second", limits()).await?);
        for tenant in [&first, &second] {
            let value = names::verification_value(tenant.name());
            dns.add(&DnsRecord { type_: "TXT".into(), name: names::verification_name(HOST), value })?;
        }
        let winner = site(&first, "winner", &[HOST]).await?;
        winner.wait_for("routed", BOUND, is_ready).await?;
        let loser = site(&second, "loser", &[HOST]).await?;
        let told = loser.wait_for("told", BOUND, |it| reason(it, HOST) == "HostTaken").await?;
        let status = said(&told, HOST).context("it is told")?;
        assert!(status.verified && !status.routed && told.is(conditions::READY));
        let text = serde_json::to_string(&told.status)?;
        assert!(
            !text.contains("customer-first") && !text.contains("winner"),
            "nothing is told of the other: {text}"
        );
        assert_eq!(routes(&world, HOST).await?, [first.namespace()]);

        winner.patch_spec(json!({"domains": []})).await?;
        loser.wait_for("given the host", BOUND, is_ready).await?;
        assert_eq!(routes(&world, HOST).await?, [second.namespace()]);

        // And back: who drops it stands at the end of the row, and gets it when the other is deleted.
        winner.patch_spec(json!({"domains": [HOST]})).await?;
        winner.wait_for("told", BOUND, |it| reason(it, HOST) == "HostTaken").await?;
        loser.delete().await?;
        loser.gone(BOUND).await?;
        winner.wait_for("given the host back", BOUND, is_ready).await?;
        let led = routes(&world, HOST).await?;
        assert_eq!(led, [first.namespace()]);
        winner.delete().await?;
        winner.gone(BOUND).await
    })
}

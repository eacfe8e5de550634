//! What a customer, an administrator of its namespace and those who sell to it try.

use serde_json::json;

use super::Who::{ApiServer, Entitler, NamespaceAdmin, Tenant};
use super::{
    CORE, Case, FOREIGN, NAKHODA, NETWORKING, OURS, RBAC, apply, change, claim, create, data, delete, hold,
    instance, network_policy, order, read, secret, space, spec, within,
};

#[rustfmt::skip] // A table.
pub(super) fn cases() -> Vec<Case> {
    let new = || within(OURS, NAKHODA, "serviceinstances");
    let (plain, paid) = (|part| change(instance("plain"), part), |part| change(instance("paid"), part));
    let later = || json!({"suspendAt": "2099-01-01T00:00:00Z"});
    let domain = |name: &str| spec(json!({"domains": [name]}));
    let hands_off = || json!({"metadata": {"annotations": {"nakhoda.dev/reconcile": "disabled"}}});
    let no_finalizer = || paid(json!({"metadata": {"finalizers": null}}));
    let child = |path| within(OURS, CORE, path);
    let unsafe_pods = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}});
    let mut cases = vec![
        Tenant.may("orders an instance", create(new(), order("new", json!({})))),
        Tenant.may("orders one from retained data", create(new(), order("new", json!({"restoreFrom": "dabcdefghijk"})))),
        Tenant.may("stops it", plain(spec(json!({"powerState": "Stopped"})))),
        Tenant.may("gives it a domain of its own", plain(domain("shop.example.com"))),
        Tenant.may("applies its own fields of a paid one", apply(instance("paid"), order("paid", json!({"displayName": "Mine"})))),
        Tenant.may("keeps a host that was given to it", paid(spec(json!({"domains": ["given.apps.example.test", "a.example.com"]})))),
        Tenant.may("changes the plan before it is paid for", plain(spec(json!({"planRef": "larger"})))),
        Tenant.may("deletes a held one", delete(instance("paid"))),
        Tenant.may_not("changes the plan that was paid for", paid(spec(json!({"planRef": "larger"}))), "spec.planRef"),
        Tenant.may_not("orders an entitled one", create(new(), order("new", json!({"entitlement": later()}))), "spec.entitlement"),
        Tenant.may_not("entitles without an end", plain(spec(json!({"entitlement": {}}))), "spec.entitlement"),
        Tenant.may_not("entitles by apply", apply(instance("plain"), order("plain", json!({"entitlement": later()}))), "spec.entitlement"),
        Tenant.may_not("moves the end", paid(spec(json!({"entitlement": later()}))), "spec.entitlement"),
        Tenant.may_not("takes the end away", paid(spec(json!({"entitlement": {"suspendAt": null}}))), "spec.entitlement"),
        Tenant.may_not("takes the entitlement away", paid(spec(json!({"entitlement": null}))), "spec.entitlement"),
        Tenant.may_not("takes all holds away", paid(spec(json!({"holds": null}))), "spec.holds.billing"),
        Tenant.may_not("takes a host of the platform", plain(domain("a.b.apps.example.test")), "own zone"),
        Tenant.may_not("orders one with the zone itself", create(new(), order("new", json!({"domains": ["apps.example.test"]}))), "own zone"),
        Tenant.may_not("keeps the operator's hands off", paid(hands_off()), "break-glass"),
        Tenant.may_not("takes the finalizer off", no_finalizer(), "nakhoda.dev/cleanup"),
        Tenant.may_not("writes status", change(instance("paid/status"), json!({"status": {"phase": "Running"}})), "cannot patch"),
        Tenant.may_not("orders where no tenant is", create(within(FOREIGN, NAKHODA, "serviceinstances"), order("new", json!({}))), "belongs in the namespace"),
        Tenant.may_not("reads a Secret", read(child("secrets/any")), "cannot get"),
        Entitler.may("moves the end", paid(spec(json!({"entitlement": later()})))),
        Entitler.may_not("places a hold", plain(spec(json!({"holds": {"admin": hold()}}))), "spec.holds.admin"),
        ApiServer.may("entitles", plain(spec(json!({"entitlement": later()})))),
        ApiServer.may("upgrades", paid(spec(json!({"planRef": "larger"})))),
        ApiServer.may("gives a host of the platform", plain(domain("b.apps.example.test"))),
        ApiServer.may_not("takes the finalizer off", no_finalizer(), "nakhoda.dev/cleanup"),
        NamespaceAdmin.may("changes a child", change(child("configmaps/bound"), json!({"data": {"a": "b"}}))),
        NamespaceAdmin.may_not("keeps the operator's hands off a child", change(child("configmaps/bound"), hands_off()), "break-glass"),
        NamespaceAdmin.may_not("opens the network", create(within(OURS, NETWORKING, "networkpolicies"), network_policy()), "network policies of a tenant"),
        NamespaceAdmin.may_not("deletes a NetworkPolicy", delete(within(OURS, NETWORKING, "networkpolicies/bound")), "network policies of a tenant"),
        NamespaceAdmin.may_not("unbinds the operator", delete(within(OURS, RBAC, "rolebindings/bound")), "tenant's bounds"),
        NamespaceAdmin.may_not("lifts the quota", delete(child("resourcequotas/bound")), "cannot delete"),
        NamespaceAdmin.may_not("lifts Pod Security", change(space(OURS), unsafe_pods), "cannot patch"),
    ];
    for (owner, says) in [("billing", "spec.holds.billing"), ("admin", "spec.holds.admin"), ("abuse", "spec.holds.abuse")] {
        cases.push(Tenant.may_not("places a hold", plain(spec(json!({"holds": {owner: hold()}}))), says));
        cases.push(Tenant.may_not("clears a hold", paid(spec(json!({"holds": {owner: null}}))), says));
        cases.push(ApiServer.may("clears a hold", paid(spec(json!({"holds": {owner: null}})))));
    }
    cases
}

/// About what billing knows its own by.
#[rustfmt::skip] // A table.
pub(super) fn about_billing() -> Vec<Case> {
    let new = || within(OURS, NAKHODA, "serviceinstances");
    let (plain, paid) = (|part| change(instance("plain"), part), |part| change(instance("paid"), part));
    let of = |id: &str| json!({"metadata": {"labels": {"nakhoda.dev/subscription": id}}});
    let told = |version: &str| json!({"metadata": {"annotations": {"nakhoda.dev/billing-version": version}}});
    let because = |why: &str| json!({"metadata": {"annotations": {"nakhoda.dev/entitled-because": why}}});
    let sold = |part: serde_json::Value| {
        let mut sold = order("new", json!({}));
        sold["metadata"] = part["metadata"].clone();
        sold["metadata"]["name"] = json!("new");
        sold
    };
    vec![
        Tenant.may("labels it for itself", paid(json!({"metadata": {"labels": {"example.com/team": "shop"}}}))),
        Tenant.may_not("orders one as if it was bought", create(new(), sold(of("a"))), "nakhoda.dev/subscription"),
        Tenant.may_not("orders one that billing will not touch", create(new(), sold(told("9"))), "nakhoda.dev/billing-version"),
        Tenant.may_not("passes one off as bought", plain(of("a")), "nakhoda.dev/subscription"),
        Tenant.may_not("passes it off as another one's", paid(of("b")), "nakhoda.dev/subscription"),
        Tenant.may_not("hides it from billing", paid(json!({"metadata": {"labels": {"nakhoda.dev/subscription": null}}})), "nakhoda.dev/subscription"),
        Tenant.may_not("says that billing told more", paid(told("9")), "nakhoda.dev/billing-version"),
        Tenant.may_not("forgets what billing told", paid(json!({"metadata": {"annotations": null}})), "nakhoda.dev/billing-version"),
        Tenant.may_not("says why it runs without billing", paid(because("mine")), "nakhoda.dev/entitled-because"),
        Tenant.may_not("orders one that runs without billing", create(new(), sold(because("mine"))), "nakhoda.dev/entitled-because"),
        Entitler.may("says what it told", paid(told("9"))),
        Entitler.may("says why it runs without billing", plain(because("a sample"))),
        ApiServer.may("makes what was bought", create(new(), sold(of("a")))),
        ApiServer.may("says whose it is", plain(of("a"))),
    ]
}

/// About data, living or retained.
#[rustfmt::skip] // A table.
pub(super) fn about_data() -> Vec<Case> {
    let child = |path| within(OURS, CORE, path);
    let note = |key: &str| json!({"metadata": {"annotations": {key: "2020-01-01T00:00:00Z"}}});
    let (whose, release) = ("nakhoda.dev/data, instance", "about the release of data");
    vec![
        Tenant.may_not("deletes a volume", delete(claim("released")), "cannot delete"),
        Tenant.may_not("orders about retained data", change(format!("{NAKHODA}/tenantquotas/policy"), spec(json!({"retained": {}}))), "cannot patch"),
        NamespaceAdmin.may("notes something of its own on data", change(claim("living"), note("example.com/seen-at"))),
        NamespaceAdmin.may("deletes a Secret that is no data", delete(secret("bound"))),
        NamespaceAdmin.may("makes a volume of its own", create(child("persistentvolumeclaims"), {
            let mut own = data("PersistentVolumeClaim", "own", true, false);
            own["metadata"] = json!({"name": "own", "labels": {"app.kubernetes.io/managed-by": "Helm"}});
            own
        })),
        NamespaceAdmin.may_not("deletes retained data", delete(claim("released")), "kept for the time"),
        NamespaceAdmin.may_not("deletes the data of an instance", delete(claim("living")), "kept for the time"),
        NamespaceAdmin.may_not("deletes its passwords", delete(secret("released")), "kept for the time"),
        NamespaceAdmin.may_not("releases data of an instance", change(claim("living"), note("nakhoda.dev/released-at")), release),
        NamespaceAdmin.may_not("keeps data for longer", change(claim("released"), note("nakhoda.dev/keep-until")), release),
        NamespaceAdmin.may_not("takes an order's note off a Secret", change(secret("begun"), json!({"metadata": {"annotations": {"nakhoda.dev/purge-begun-at": null}}})), release),
        NamespaceAdmin.may_not("hides data from the operator", change(claim("released"), json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": null}}})), whose),
        NamespaceAdmin.may_not("passes a volume off as data", create(child("persistentvolumeclaims"), data("PersistentVolumeClaim", "forged", true, false)), whose),
    ]
}

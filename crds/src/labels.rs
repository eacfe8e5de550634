//! Labels, annotations and finalizers: every key that Nakhoda writes, once.

/// Label: the tenant (name of its `TenantQuota`).
pub const TENANT: &str = "nakhoda.dev/tenant";
/// Label: the uid of the `ServiceInstance` that the object belongs to.
pub const INSTANCE: &str = "nakhoda.dev/instance";
/// Label: the name of that instance, for people (shortened with a hash where it is too long for a label).
pub const INSTANCE_NAME: &str = "app.kubernetes.io/instance";
/// Label: the component of the template.
pub const COMPONENT: &str = "nakhoda.dev/component";
/// Label: the data id, on volumes and secrets that outlive their instance.
pub const DATA: &str = "nakhoda.dev/data";
/// Label: the app, as the name of its template.
pub const APP_NAME: &str = "app.kubernetes.io/name";
/// Label: who manages the object.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Value of [`MANAGED_BY`].
pub const MANAGER: &str = "nakhoda";
/// Label: the id of the subscription that an instance was bought by.
pub const SUBSCRIPTION: &str = "nakhoda.dev/subscription";
/// Label on the namespaces that the operator made for tenants.
pub const PAAS_MANAGED: &str = "paas.managed";

/// Annotation on instances: what billing has told last, counted by the subscription; nothing older is told after it.
pub const BILLING_VERSION: &str = "nakhoda.dev/billing-version";
/// Annotation on instances that nobody has bought: why somebody who may entitle lets them run all the same, for people.
pub const ENTITLED_BECAUSE: &str = "nakhoda.dev/entitled-because";
/// Annotation: hash of what was desired when the object was last applied.
pub const HASH: &str = "nakhoda.dev/hash";
/// Annotation on data: how long it is kept once its instance is gone, such as `14d`.
pub const KEEP_FOR: &str = "nakhoda.dev/keep-for";
/// Annotation on data: when its instance let it go (RFC 3339).
pub const RELEASED_AT: &str = "nakhoda.dev/released-at";
/// Annotation on data: until when it is kept after its release (RFC 3339).
pub const KEEP_UNTIL: &str = "nakhoda.dev/keep-until";
/// Annotation on released data: when the operator first saw the order to destroy it, by the API server's clock (RFC 3339).
pub const PURGE_ORDERED_AT: &str = "nakhoda.dev/purge-ordered-at";
/// Annotation on released data: an order to destroy it stood already when it was released, so it is none about this release.
pub const PURGE_ORDER_VOID: &str = "nakhoda.dev/purge-order-void";
/// Annotation on the Secret of released data: since then it is being destroyed, and nobody can take it up any more (RFC 3339).
pub const PURGE_BEGUN_AT: &str = "nakhoda.dev/purge-begun-at";
/// Annotation on the Secret of released data: the names of the volume claims that it had, with commas between them, so that a
/// volume that is lost meanwhile is not taken for a beginning.
pub const VOLUMES: &str = "nakhoda.dev/volumes";
/// Annotation on data: the plan it was sold with.
pub const PLAN: &str = "nakhoda.dev/plan";
/// Annotation on data: the template that wrote it; only an instance of the same one may restore it.
pub const TEMPLATE: &str = "nakhoda.dev/template";
/// Annotation on the data's Secret: the parameters that were fixed when it was made, as JSON.
pub const FIXED: &str = "nakhoda.dev/fixed-parameters";
/// Annotation on anything of ours: `disabled` stops the operator from touching it (break-glass).
pub const RECONCILE: &str = "nakhoda.dev/reconcile";
/// Annotation: the `restartedAt` that the pods were last started for.
pub const RESTARTED_AT: &str = "nakhoda.dev/restarted-at";

/// Annotation on workloads: the hash of the pod template that was last applied.
pub const PODS: &str = "nakhoda.dev/pods";
/// Annotation: the hash of what the instance's owner decides of the object; a change of it is never held back.
pub const INPUTS: &str = "nakhoda.dev/inputs";
/// Annotation on workloads: the last `rolloutAt` that was reached.
pub const ROLLOUT_AT: &str = "nakhoda.dev/rollout-at";
/// Annotation on the data's Secret: its app was up once with all init jobs done (`true`).
pub const INITIALIZED: &str = "nakhoda.dev/initialized";
/// Annotation on pods: the hash of the files that they mount, which a running container would never see change.
pub const FILES: &str = "nakhoda.dev/files";

/// The finalizer on instances and tenants.
pub const FINALIZER: &str = "nakhoda.dev/cleanup";

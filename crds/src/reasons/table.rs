//! The table itself, in the order of rank. A sentence says what is wrong, what happens next and who must act; it is said to
//! customers, so it names no counters, pods or times.

use super::{Of, Reason, Stalls, Who};

macro_rules! reasons {
    ($($constant:ident = $name:literal, $of:ident, $who:ident, $stalls:ident: $sentence:literal;)*) => {
        $(
            #[doc = $sentence]
            pub const $constant: &str = $name;
        )*

        /// Every reason, the one that counts most first.
        pub static ALL: &[Reason] = &[$(Reason {
            name: $name,
            of: Of::$of,
            who: Who::$who,
            stalls: Stalls::$stalls,
            sentence: $sentence,
        }),*];
    };
}

#[rustfmt::skip] // A table.
reasons! {
    // What somebody decided.
    RECONCILE_DISABLED = "ReconcileDisabled", Condition, Administrator, Never: "The annotation nakhoda.dev/reconcile is disabled: nothing is done until an administrator removes it.";
    TERMINATING = "Terminating", Instance, Nobody, AfterBound: "It is being deleted: its pods end first, then its data is let go and kept for the time of spec.retention.";
    HELD_FOR_ABUSE = "HeldForAbuse", Instance, Administrator, Never: "The abuse team holds it; the data is kept. It runs again once the hold is released.";
    HELD_BY_ADMINISTRATOR = "HeldByAdministrator", Instance, Administrator, Never: "An administrator holds it; the data is kept. It runs again once the hold is released.";
    HELD_BY_BILLING = "HeldByBilling", Instance, Owner, Never: "Billing holds it; the data is kept. It runs again once it is paid for.";
    ENTITLEMENT_ENDED = "EntitlementEnded", Instance, Owner, Never: "The paid period and its grace are over; the data is kept. It runs again once it is paid for.";
    NOT_ENTITLED = "NotEntitled", Instance, Owner, Never: "Nobody has entitled this instance to run. Buy a subscription for it, or ask an administrator.";

    // Why nothing can be built.
    TENANT_MISSING = "TenantMissing", Instance, Administrator, AtOnce: "The namespace's TenantQuota does not exist. An administrator must create it.";
    AWAITING_ADMISSION = "AwaitingAdmission", Instance, Nobody, AfterBound: "The tenant's quota has not been looked at for it yet; this takes seconds.";
    QUOTA_EXCEEDED = "QuotaExceeded", Instance, Owner, AtOnce: "It does not fit in the tenant's quota. Delete another instance, choose a smaller plan, or ask for a higher limit; it goes on by itself then.";
    PLAN_NOT_FOUND = "PlanNotFound", Instance, Owner, AtOnce: "Its plan does not exist. Name an existing one, or ask an administrator.";
    TEMPLATE_NOT_FOUND = "TemplateNotFound", Instance, Administrator, AtOnce: "The template of its plan does not exist. An administrator must create it.";
    PLAN_OF_ANOTHER_APP = "PlanOfAnotherApp", Instance, Owner, AtOnce: "The plan sells another app than the instance has. Choose a plan of the same app.";
    TEMPLATE_INVALID = "TemplateInvalid", Instance, Administrator, AtOnce: "The template contradicts itself and can't be used; its own status says where. An administrator must correct it.";
    TEMPLATE_DISABLED = "TemplateDisabled", Instance, Administrator, AtOnce: "The app is not offered at present. An administrator can enable its template.";
    PLAN_RETIRED = "PlanRetired", Instance, Owner, AtOnce: "The plan is not sold any more, and nothing new is made by it. Choose another one; what runs by it goes on.";
    PARAMETER_INVALID = "ParameterInvalid", Instance, Owner, AtOnce: "A parameter is missing, unknown or out of its bounds; the condition says which. Correct it in spec.parameters.";
    RETENTION_INVALID = "RetentionInvalid", Instance, Owner, AtOnce: "The time for which data is to be kept is no time span. Correct spec.retention.keepFor.";
    RETAINED_DATA_NOT_FOUND = "RetainedDataNotFound", Instance, Owner, AtOnce: "No retained data has the id in restoreFrom. The tenant's status.retained lists what there is.";
    RETAINED_DATA_IN_USE = "RetainedDataInUse", Instance, Owner, AtOnce: "The data in restoreFrom belongs to another instance that still exists. Delete that one first.";
    RETAINED_DATA_PURGED = "RetainedDataPurged", Instance, Owner, AtOnce: "The destruction of the data in restoreFrom has begun, so it can't be restored. Order an instance without restoreFrom.";
    RETAINED_DATA_OF_ANOTHER_APP = "RetainedDataOfAnotherApp", Instance, Owner, AtOnce: "The data in restoreFrom was written by another app. Choose a plan of that app.";
    STORAGE_TOO_SMALL = "StorageTooSmall", Instance, Owner, AtOnce: "The plan has less storage than the data takes already, and volumes never shrink. Choose a larger plan.";
    SECRET_NAME_TAKEN = "SecretNameTaken", Instance, Administrator, AtOnce: "There is a Secret of the name that its generated passwords need, which Nakhoda did not make. An administrator must remove it.";
    SECRET_MISSING = "SecretMissing", Instance, Administrator, AtOnce: "The Secret with the generated passwords of its data is gone. New ones would lock everybody out: an administrator must put the old one back.";
    SECRET_INCOMPLETE = "SecretIncomplete", Instance, Administrator, AtOnce: "The template asks for a secret that the data was made without. An administrator must take it out of the template, or sell the changed app as another template.";
    VOLUME_NOT_IN_TEMPLATE = "VolumeNotInTemplate", Instance, Administrator, AtOnce: "The template no longer names a volume that the instance has data on. An administrator must put it back.";
    COMPONENT_KIND_CHANGED = "ComponentKindChanged", Instance, Administrator, AtOnce: "The template changed the kind of a component. An administrator must put it back, or sell it as another template.";
    VOLUME_BEING_DELETED = "VolumeBeingDeleted", Instance, Administrator, AtOnce: "A volume with its data is being deleted and goes once no pod uses it. An administrator must save the data now.";
    VOLUME_MISSING = "VolumeMissing", Instance, Administrator, AtOnce: "A volume with its data is gone. An empty one in its place would pass for the data: an administrator must restore it, or delete the instance.";
    WAITING_FOR_DELETION = "WaitingForDeletion", Instance, Nobody, AfterBound: "Something of an earlier instance of this name is still being deleted; it goes on once that is gone.";
    NAME_TAKEN = "NameTaken", Instance, Administrator, AtOnce: "There is an object of a name that it needs, which Nakhoda did not make. An administrator must remove it, or the instance must be named otherwise.";

    // What the API server refuses of it.
    RESOURCE_QUOTA_EXCEEDED = "ResourceQuotaExceeded", Instance, Owner, AtOnce: "The namespace's ResourceQuota leaves no room for a part of it. Retained data and ending pods count, too: free some of it, or ask for a higher limit. It is tried again.";
    VOLUME_NOT_EXPANDABLE = "VolumeNotExpandable", Instance, Administrator, AtOnce: "The cluster's storage refuses the change of a volume: its class can't grow. An administrator must allow it, or move the data. It is tried again.";
    REJECTED = "Rejected", Instance, Administrator, AtOnce: "The API server refuses a part of it as wrong; the condition says why. An administrator must correct the template or plan.";

    // Why its pods are not up. Data first, then what no waiting will cure.
    VOLUME_LOST = "VolumeLost", Instance, Administrator, AtOnce: "A volume is lost. An administrator must restore it from a backup.";
    IMAGE_NAME_INVALID = "ImageNameInvalid", Instance, Administrator, AtOnce: "The name of an image can't be understood. An administrator must correct the template.";
    IMAGE_NOT_PULLED = "ImageNotPulled", Instance, Administrator, AtOnce: "An image can't be pulled: it does not exist, the registry does not answer, or asks for a login. The cluster tries again; an administrator must correct the template or the registry.";
    CONFIG_MISSING = "ConfigMissing", Instance, Administrator, AtOnce: "A Secret or ConfigMap that a container needs is not there or lacks a key. The cluster tries again; an administrator must put it back, or correct the template.";
    POD_SECURITY_DENIED = "PodSecurityDenied", Instance, Administrator, AtOnce: "Pod Security refuses its pod: the template asks for more than tenants may have. An administrator must correct the template.";
    ADMISSION_DENIED = "AdmissionDenied", Instance, Administrator, AtOnce: "A policy or webhook of the cluster refuses a part of it. It is tried again; an administrator must change the policy or the template.";
    WEBHOOK_UNAVAILABLE = "WebhookUnavailable", Instance, Administrator, AtOnce: "An admission webhook of the cluster does not answer, so no pod can be made. It is tried again; an administrator must repair the webhook.";
    POD_NOT_CREATED = "PodNotCreated", Instance, Administrator, AtOnce: "The cluster does not make its pod; the events of its workload say why. It is tried again; an administrator must look.";
    STORAGE_CLASS_MISSING = "StorageClassMissing", Instance, Administrator, AtOnce: "There is no storage class for a volume. The cluster tries again; an administrator must make the class, or correct plan or settings.";
    VOLUME_NOT_PROVISIONED = "VolumeNotProvisioned", Instance, Administrator, AtOnce: "The cluster's storage fails to make a volume; the claim's events say why. It tries again; an administrator must look.";
    VOLUME_ELSEWHERE = "VolumeElsewhere", Instance, Administrator, AtOnce: "No node that may run its pod reaches its volume. The cluster tries again; an administrator must bring such a node back, or move the data.";
    NO_ROOM_ON_NODES = "NoRoomOnNodes", Instance, Administrator, AfterBound: "No node that may run its pod has room for it. It is started once there is room; an administrator must add nodes, or free some.";
    NO_NODE_FITS = "NoNodeFits", Instance, Administrator, AfterBound: "No node may run its pod: they are closed, or not ready. It is started once one opens; an administrator must open or repair nodes.";
    VOLUME_FULL = "VolumeFull", Instance, Owner, AtOnce: "A volume is full, and the app can't go on. Choose a plan with more storage; an administrator can free some.";
    OUT_OF_MEMORY = "OutOfMemory", Instance, Owner, AfterBound: "The app needs more memory than its plan has, and was ended for it. It is started again; if this lasts, choose a larger plan.";
    CONTAINER_NOT_STARTED = "ContainerNotStarted", Instance, Administrator, AtOnce: "A container can't be started: its command or a mount is wrong. The cluster tries again; an administrator must correct the template.";
    INIT_CONTAINER_FAILING = "InitContainerFailing", Instance, Administrator, AfterBound: "What must run before the app fails again and again; its log says why. It is tried again; if this lasts, an administrator must look.";
    CRASH_LOOPING = "CrashLooping", Instance, Administrator, AfterBound: "The app ends again and again soon after its start; its log says why. It is started again, less and less often; if this lasts, its owner or an administrator must look.";
    NODE_LOST = "NodeLost", Instance, Administrator, AfterBound: "The node that it runs on does not answer. It goes on when the node comes back; else an administrator must confirm that the node is dead.";
    EVICTED = "Evicted", Instance, Administrator, AfterBound: "Its node ran short of memory or disk, and ended its pod. A new one is started; if this lasts, an administrator must look at the nodes.";
    PREEMPTED = "Preempted", Instance, Administrator, AfterBound: "Its pod had to make room for something more important. It is started again once there is room; if this lasts, an administrator must add nodes.";
    DRAINED = "Drained", Instance, Nobody, AfterBound: "Its node is being emptied for maintenance. It is started again on another one.";
    PROBE_FAILING = "ProbeFailing", Instance, Administrator, AfterBound: "The app runs, but does not answer its probe. If it stays so, the cluster restarts it; if this lasts, its owner or an administrator must look at its log.";
    INIT_JOB_FAILED = "InitJobFailed", Instance, Administrator, AtOnce: "A job that prepares the app for its first use has failed again and again, so visitors are not let in. An administrator must look at its log; setting restartedAt tries it anew.";
    DEPENDENCY_NOT_READY = "DependencyNotReady", Instance, Nobody, AfterBound: "A component that others need, such as the database, is not up yet. What waits for it goes on once it is.";
    VOLUME_GROWTH_FAILED = "VolumeGrowthFailed", Instance, Administrator, AtOnce: "A volume could not be made larger; the claim's events say why. It serves on with the old size; an administrator must look.";

    // On the way.
    UPGRADE_AWAITS_QUOTA = "UpgradeAwaitsQuota", Instance, Owner, AtOnce: "It runs by its old plan: the larger one does not fit in the tenant's quota. Delete another instance, or ask for a higher limit.";
    NOT_SERVING = "NotServing", Instance, Nobody, AfterBound: "Its pods are not ready though nothing was changed. The cluster restarts them; if this lasts, look at their events.";
    INITIALIZING = "Initializing", Instance, Nobody, AfterBound: "Its parts are up, and it is being prepared for its first use; then visitors are let in.";
    UPDATING = "Updating", Instance, Nobody, AfterBound: "A change is being rolled out.";
    RESTARTING = "Restarting", Instance, Nobody, AfterBound: "Its pods are being started.";
    PROVISIONING = "Provisioning", Instance, Nobody, AfterBound: "Its parts are being made; this takes some minutes at the most.";
    STOPPING = "Stopping", Instance, Nobody, AfterBound: "Its pods are ending, as its owner asked.";
    STOPPED = "Stopped", Instance, Owner, Never: "Stopped by its owner; the data is kept. Set powerState to Running to start it.";

    // What only conditions say.
    TOO_SLOW = "TooSlow", Condition, Administrator, AfterBound: "This has lasted longer than it should: an administrator must look at the events of its pods and volumes.";
    RETRYING = "Retrying", Condition, Administrator, AfterBound: "Calls to the API server fail and are tried again. If this lasts, an administrator must look at the operator's log.";
    RUNNING = "Running", Condition, Nobody, Never: "It serves.";
    SETTLED = "Settled", Condition, Nobody, Never: "Nothing is under way.";
    NOT_STALLED = "NotStalled", Condition, Nobody, Never: "Nothing is stuck.";
    MAY_RUN = "MayRun", Condition, Nobody, Never: "Nothing holds it back.";
    ADMITTED = "Admitted", Condition, Nobody, Never: "It has a place in the tenant's quota.";
    BOUND = "Bound", Condition, Nobody, Never: "Every volume is bound.";
    VOLUME_PENDING = "VolumePending", Condition, Nobody, AfterBound: "A volume is not bound yet: the cluster's storage provides it, or waits for the pod that uses it.";
    VOLUME_GROWING = "VolumeGrowing", Condition, Nobody, Never: "A volume is being made larger; the app may have to be restarted for it.";
    VOLUME_GROWS_AT_RESTART = "VolumeGrowsAtRestart", Condition, Owner, Never: "A volume is larger already, and its file system grows at the next restart of the app. Its owner can restart it.";
    UP_TO_DATE = "UpToDate", Condition, Nobody, Never: "Nothing waits to be rolled out.";
    UPDATE_AVAILABLE = "UpdateAvailable", Condition, Nobody, Never: "A newer form of the app waits, since rolling it out restarts the app. That happens in its maintenance window, at spec.rolloutAt, or with its owner's next change of plan, parameters or restartedAt.";
    UPDATE_AWAITS_OWNER = "UpdateAwaitsOwner", Condition, Owner, Never: "A newer form of the app waits, since rolling it out restarts the app, and it has no maintenance window. Set spec.rolloutAt to the present to have it now; the owner's next change of plan, parameters or restartedAt rolls it out as well.";
    WINDOW_INVALID = "WindowInvalid", Condition, Owner, Never: "The maintenance window can't be understood; the condition says why. Correct spec.maintenanceWindow; until then the platform's window counts.";
    DOMAIN_VERIFIED = "Verified", Condition, Nobody, Never: "Its records were seen; every custom host is routed.";
    DOMAIN_RECORD_MISSING = "RecordMissing", Condition, Owner, Never: "The record that proved a custom host is gone. It is routed for a while yet; its owner must set the record again, as status.domains shows it.";
    DOMAIN_UNVERIFIED = "DomainUnverified", Condition, Owner, Never: "The DNS record that proves a custom host has not been seen yet; status.domains names it. Its owner must set it.";
    DOMAIN_CHECKING = "Checking", Condition, Nobody, Never: "DNS is being asked about a custom host; this takes seconds.";
    DOMAIN_NOT_ASKED = "NotLookedUp", Condition, Nobody, Never: "DNS is asked about a custom host once the instance has its place in the tenant's quota and may run.";
    DOMAIN_LOOKUP_FAILED = "LookupFailed", Condition, Owner, Never: "DNS gives no answer about a custom host, and is asked again. If this lasts, the host's owner must look at its name servers.";
    HOST_TAKEN = "HostTaken", Condition, Owner, Never: "A custom host leads to another instance, which has proven it. It comes here once it is let go there.";
    DOMAIN_NOT_ROUTED = "NotRoutedYet", Condition, Nobody, Never: "A custom host is proven and is not led here yet; this takes seconds.";
    PLATFORM_HOST = "PlatformHost", Condition, Nobody, Never: "It is the instance's own host of the platform, and is routed anyway.";
    DOMAINS_NOT_APPLICABLE = "DomainsNotApplicable", Condition, Owner, Never: "The app speaks no HTTP, so no host leads to it. Take spec.domains out.";
    ACCESS_OPEN = "Open", Condition, Nobody, Never: "The port to the outside is open; status.endpoints.external says where.";
    ACCESS_PENDING = "AccessPending", Condition, Nobody, Never: "The port to the outside is being opened by the cluster.";
    ACCESS_NOT_OFFERED = "AccessNotOffered", Condition, Administrator, Never: "This platform does not open apps to the outside. An administrator can offer it by the setting access.type.";
    ACCESS_NOT_APPLICABLE = "AccessNotApplicable", Condition, Owner, Never: "The app speaks HTTP and is reached by its host names. Take spec.access out.";
    CIDR_INVALID = "CidrInvalid", Condition, Owner, Never: "One of spec.access.allowedCidrs is no address range, so nothing is opened. Correct it.";

    // Tenants.
    CLOCK_DISAGREES = "ClockDisagrees", Tenant, Administrator, Never: "The operator's clock and the API server's disagree, so no data is destroyed. An administrator must set the clocks of their nodes right.";
    PURGE_BLOCKED = "PurgeBlocked", Tenant, Administrator, Never: "Data whose time is over is not destroyed, since something is in the way; status.retained says what.";
    DATA_ORPHANED = "DataOrphaned", Tenant, Administrator, Never: "There is data of an instance that vanished without letting it go; status.orphaned lists it, and nothing destroys it. An administrator must look.";
    PURGING = "Purging", Tenant, Nobody, Never: "Data whose time is over is being destroyed; status.retained says which.";
    RETAINED = "Retained", Tenant, Nobody, Never: "Data of deleted instances is kept; status.retained says until when.";
    NOTHING_RETAINED = "NothingRetained", Tenant, Nobody, Never: "No data of deleted instances is kept.";
    NAMESPACE_TAKEN = "NamespaceTaken", Tenant, Administrator, AtOnce: "A namespace of its name exists and was not made by Nakhoda, so it is left alone. An administrator must remove it or name the tenant otherwise.";
    NAMESPACE_TERMINATING = "NamespaceTerminating", Tenant, Nobody, AfterBound: "Its namespace is being deleted.";
    SETTLING = "Settling", Tenant, Nobody, AfterBound: "Its namespace, policies and quota are being made; this takes seconds.";
    DATA_RETAINED = "DataRetained", Tenant, Administrator, AtOnce: "It still has instances or kept data, so nothing is deleted. An administrator must set spec.offboard to DeleteData to destroy all of it.";
    OFFBOARD_WAITING = "OffboardWaiting", Tenant, Nobody, Never: "All of it is destroyed once the waiting time of the operator's settings is over. Taking spec.offboard back stops that.";
    DELETING_INSTANCES = "DeletingInstances", Tenant, Nobody, AfterBound: "Its instances are being deleted.";
    READY = "Ready", Tenant, Nobody, Never: "Its namespace, policies and quota are in place.";

    // Templates and plans.
    INVALID = "Invalid", Catalogue, Administrator, AtOnce: "The template contradicts itself, and no instance is made from it; the condition says where. An administrator must correct it.";
    DISABLED = "Disabled", Catalogue, Administrator, Never: "It is valid, but not offered: nothing is made from it anew.";
    VALID = "Valid", Catalogue, Nobody, Never: "Instances can be made from it.";
    RETIRED = "Retired", Catalogue, Nobody, Never: "It is not sold any more; what runs by it goes on.";
    SELLABLE = "Sellable", Catalogue, Nobody, Never: "Instances can be made by it.";
}

//! The samples as a newcomer applies them with kubectl, and what kubectl shows then.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::story::Story;
use e2e::tools::Tools;
use e2e::{repository, wait};
use tokio::process::Command;
use tokio::task::spawn_blocking;

use crate::world::{World, block_on};

/// How long one kubectl may take, its own waiting included.
const BOUND: Duration = Duration::from_secs(90);

/// kubectl as an administrator's.
struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    cache: PathBuf,
}

impl Kubectl {
    async fn of(world: &World) -> Result<Self> {
        let tools = spawn_blocking(|| Tools::find_or_build(Story::quiet())).await??;
        let cluster = world.cluster();
        Ok(Self {
            program: tools.kubectl,
            kubeconfig: cluster.kubeconfig("admin"),
            cache: cluster.dir().join("kubectl"),
        })
    }

    /// What it prints. The line is as one would type it, without `kubectl`.
    async fn run(&self, line: &str) -> Result<String> {
        let mut command = Command::new(&self.program);
        command.arg("--kubeconfig").arg(&self.kubeconfig).arg("--cache-dir").arg(&self.cache);
        command.args(line.split_whitespace()).current_dir(repository::root());
        command.stdin(Stdio::null()).kill_on_drop(true);
        let output = wait::within(&format!("kubectl {line}"), BOUND, command.output()).await?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "kubectl {line}: {}", errors.trim());
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// The lines of a table with these words in them, in this order.
fn rows<'a>(table: &'a str, words: &[&str]) -> Vec<&'a str> {
    let has_all = |line: &&str| {
        let mut columns = line.split_whitespace();
        words.iter().all(|word| columns.any(|column| column == *word))
    };
    table.lines().filter(has_all).collect()
}

/// Fails with the whole text where a part is missing; how it is aligned does not matter.
fn shows(text: &str, parts: &[&str]) {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let missing: Vec<&&str> = parts.iter().filter(|part| !words.contains(**part)).collect();
    assert!(missing.is_empty(), "{missing:?} is not in\n{text}");
}

async fn tables_are_as_expected(kubectl: &Kubectl) -> Result<()> {
    let all = kubectl.run("get tq,stpl,sp,si -A").await?;
    for header in [
        &["NAME", "NAMESPACE", "INSTANCES", "LIMIT", "MEMORY", "STORAGE", "READY", "REASON", "AGE"][..],
        &["NAMESPACE", "NAME", "PLAN", "PHASE", "READY", "REASON", "HOST", "PAID-UNTIL", "AGE"][..],
    ] {
        assert_eq!(rows(&all, header).len(), 1, "{header:?} is no header of\n{all}");
    }
    for row in [
        &["tenantquota.nakhoda.dev/sample", "customer-sample", "20", "True", "Ready"][..],
        &["servicetemplate.nakhoda.dev/postgresql", "PostgreSQL"][..],
        &["serviceplan.nakhoda.dev/postgresql-small", "postgresql"][..],
        &[
            "customer-sample",
            "serviceinstance.nakhoda.dev/orders-db",
            "postgresql-small",
            "Running",
            "True",
            "2098-12-31T17:00:00Z",
        ][..],
    ] {
        assert_eq!(rows(&all, row).len(), 1, "{row:?} is no row of\n{all}");
    }
    // The category names them all, too.
    let category = kubectl.run("get nakhoda -n customer-sample").await?;
    shows(&category, &["serviceinstance.nakhoda.dev/orders-db", "serviceplan.nakhoda.dev/postgresql-small"]);
    Ok(())
}

async fn explanations_are_as_expected(kubectl: &Kubectl) -> Result<()> {
    shows(
        &kubectl.run("explain si.spec").await?,
        &[
            "KIND: ServiceInstance",
            "FIELD: spec <Object>",
            "planRef <string> -required-",
            "The ServicePlan that was bought.",
            "powerState <string>",
            "enum: Running, Stopped",
            "entitlement <Object>",
        ],
    );
    shows(
        &kubectl.run("explain si.spec.holds.billing").await?,
        &["hold-billing", "reason <string> -required-"],
    );
    shows(
        &kubectl.run("explain tq.spec.limits").await?,
        &["How many instances.", "perPlan <map[string]integer>"],
    );
    shows(&kubectl.run("explain stpl.spec.components.dependsOn").await?, &["FIELD: dependsOn <[]string>"]);
    shows(&kubectl.run("explain sp.spec.price").await?, &["amount <integer> -required-"]);
    Ok(())
}

#[test]
fn the_samples_become_available_and_kubectl_shows_what_one_asks_first() -> Result<()> {
    block_on(async {
        let world = World::shared_stories().await?;
        let _operator = world.operator("a").await?;
        let kubectl = Kubectl::of(&world).await?;
        kubectl.run("apply -f config/samples/tenant.yaml").await?;
        kubectl.run("wait --for=condition=Ready tq/sample --timeout=60s").await?;
        kubectl.run("apply -f config/samples/postgresql.yaml").await?;
        // Until it is paid for, it says so.
        kubectl.run("wait --for=jsonpath={.status.reason}=NotEntitled si/orders-db -n customer-sample --timeout=60s").await?;
        kubectl
            .run("apply --server-side --field-manager=nakhoda-entitlement -f config/samples/entitlement.yaml")
            .await?;
        kubectl.run("wait --for=condition=Available si/orders-db -n customer-sample --timeout=60s").await?;
        kubectl.run("wait --for=condition=Ready si/orders-db -n customer-sample --timeout=60s").await?;
        tables_are_as_expected(&kubectl).await?;
        explanations_are_as_expected(&kubectl).await?;

        let described = kubectl.run("describe si orders-db -n customer-sample").await?;
        shows(
            &described,
            &[
                "Finalizers: nakhoda.dev/cleanup",
                "Plan Ref: postgresql-small",
                "Message: It serves. Observed Generation: 2 Reason: Running Status: True Type: Ready",
                "Type: Available",
                "Phase: Running",
                "Internal: orders-db.customer-sample.svc:5432",
                "Events:",
                "NotEntitled",
                "Running",
                "nakhoda-operator",
            ],
        );
        // Passwords are in the Secret that it names, and nowhere else.
        let name = "get si orders-db -n customer-sample -o jsonpath={.status.credentialsSecretRef.name}";
        let name = kubectl.run(name).await?;
        let secret = kubectl
            .run(&format!("get secret {name} -n customer-sample -o jsonpath={{.data.password}}"))
            .await?;
        let keys = kubectl.run(&format!("describe secret {name} -n customer-sample")).await?;
        shows(&keys, &["database:", "host:", "password:", "port:", "uri:", "username:"]);
        let everything = kubectl.run("get si,events,cm,sts,svc -n customer-sample -o yaml").await?;
        ensure!(!secret.is_empty() && !everything.contains(&secret), "a password stands in the open");
        // A later payment brings nothing back to life.
        kubectl.run("delete si orders-db -n customer-sample --timeout=60s").await?;
        let late =
            "apply --server-side --field-manager=nakhoda-entitlement -f config/samples/entitlement.yaml";
        let refused = kubectl.run(late).await.err().context("it was accepted")?.to_string();
        shows(&refused, &["spec.planRef: Required value"]);
        Ok(())
    })
}

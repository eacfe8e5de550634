//! The leader's look-out: what becomes of nodes is logged, and instances that a lost node carries are told, once for each
//! loss and never many at once.

use crate::{context::Context, observed::Owner};
use crds::NodeState;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{ResourceExt as _, runtime::events::EventType};
use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often the nodes are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How many instances are told at one look: an event is a write.
const AT_ONCE: usize = 10;
/// How many may wait to be told: more are left to their own status.
const MOST_WAITING: usize = 2000;

/// An instance by its namespace and uid.
type Instance = (String, String);

/// What an instance is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// A node that carries a part of it is offline.
    Lost,
    /// That node is there again.
    Back,
}

impl News {
    fn event(self) -> (EventType, &'static str, &'static str) {
        match self {
            Self::Lost => (
                EventType::Warning,
                "NodeLost",
                "The node that a part of it runs on is offline. Its data stays where it is, and the part goes on once the node is \
                 back; if it does not come back, an administrator must look at the node.",
            ),
            Self::Back => {
                (EventType::Normal, "NodeBack", "The node that a part of it runs on is there again.")
            }
        }
    }
}

/// One instance to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tell {
    /// Who.
    pub instance: Instance,
    /// The node's name and uid.
    pub node: (String, String),
    /// What.
    pub news: News,
}

/// A change of a node's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The node.
    pub node: String,
    /// What it was; none: it is new.
    pub from: Option<NodeState>,
    /// What it is; none: it is gone.
    pub to: Option<NodeState>,
}

/// What was seen and told so far: pure.
#[derive(Debug, Default)]
pub struct Losses {
    /// Uid and state by name at the last look; none before the first.
    before: Option<BTreeMap<String, (String, NodeState)>>,
    /// Who was told of the loss of a node, by the node's uid.
    told: HashMap<String, HashSet<Instance>>,
    waiting: VecDeque<Tell>,
}

impl Losses {
    /// Compares with the last look. At the first one, which is a new leader's, what is lost already counts as told: the leader
    /// before has done so.
    pub fn look(
        &mut self,
        now: BTreeMap<String, (String, NodeState)>,
        carried: impl Fn(&str) -> HashSet<Instance>,
    ) -> Vec<Change> {
        let Some(before) = self.before.take() else {
            self.before = Some(now);
            return Vec::new();
        };
        let mut changes = Vec::new();
        for (name, (uid, state)) in &now {
            let old = before.get(name).filter(|(old, _)| old == uid).map(|(_, state)| *state);
            if old == Some(*state) {
                continue;
            }
            changes.push(Change { node: name.clone(), from: old, to: Some(*state) });
            match (old, state) {
                (Some(_), NodeState::Inactive) => self.lost(name, uid, carried(name)),
                (Some(NodeState::Inactive), _) => self.back(name, uid),
                _ => {}
            }
        }
        for (name, (uid, state)) in &before {
            if now.get(name).is_none_or(|(new, _)| new != uid) {
                self.forget(uid);
                changes.push(Change { node: name.clone(), from: Some(*state), to: None });
            }
        }
        self.before = Some(now);
        changes
    }

    fn lost(&mut self, name: &str, uid: &str, carried: HashSet<Instance>) {
        self.forget(uid);
        self.enqueue(carried, name, uid, News::Lost);
    }

    fn back(&mut self, name: &str, uid: &str) {
        let told = self.told.remove(uid).unwrap_or_default();
        self.forget(uid);
        self.enqueue(told, name, uid, News::Back);
    }

    fn forget(&mut self, uid: &str) {
        self.told.remove(uid);
        self.waiting.retain(|one| one.node.1 != uid);
    }

    fn enqueue(&mut self, instances: HashSet<Instance>, name: &str, uid: &str, news: News) {
        let mut instances: Vec<Instance> = instances.into_iter().collect();
        instances.sort();
        instances.truncate(MOST_WAITING.saturating_sub(self.waiting.len()));
        let node = (name.to_owned(), uid.to_owned());
        self.waiting.extend(instances.into_iter().map(|instance| Tell {
            instance,
            node: node.clone(),
            news,
        }));
    }

    /// Who is to be told now: a few at a time.
    pub fn next(&mut self) -> Vec<Tell> {
        let few: Vec<Tell> = self.waiting.drain(..self.waiting.len().min(AT_ONCE)).collect();
        for one in few.iter().filter(|one| one.news == News::Lost) {
            self.told.entry(one.node.1.clone()).or_default().insert(one.instance.clone());
        }
        few
    }
}

/// Looks out until `stop`.
pub async fn run(context: Arc<Context>, stop: CancellationToken) {
    let mut losses = Losses::default();
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            () = stop.cancelled() => return,
        }
        if !context.nodes.is_synced() {
            continue;
        }
        let states = context.nodes.states(Instant::now());
        for change in losses.look(states, |node| context.nodes.pods.instances_on(node)) {
            log(&change);
            wake(&context, &change);
        }
        for tell in losses.next() {
            say(&context, &tell).await;
        }
    }
}

fn log(change: &Change) {
    let name = |state: Option<NodeState>| state.map_or("none", NodeState::name);
    let (from, to) = (name(change.from), name(change.to));
    if matches!(change.to, Some(NodeState::Inactive | NodeState::NotReady)) {
        tracing::warn!(node.name = change.node, from, to, "a node is in trouble");
    } else {
        tracing::info!(node.name = change.node, from, to, "a node's state changed");
    }
}

/// The instances it carries are looked at: what their status says may change.
fn wake(context: &Context, change: &Change) {
    for (_, uid) in context.nodes.pods.instances_on(&change.node) {
        context.caches.wake_owner(&Owner::Instance(uid));
    }
}

async fn say(context: &Context, tell: &Tell) {
    let (namespace, uid) = &tell.instance;
    let all = context.caches.instances_in(namespace);
    let Some(instance) = all.iter().find(|one| one.uid().as_ref() == Some(uid)) else { return };
    let (type_, reason, note) = tell.news.event();
    let node = ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Node".to_owned()),
        name: Some(tell.node.0.clone()),
        uid: Some(tell.node.1.clone()),
        ..ObjectReference::default()
    };
    context.report.publish_about(&**instance, type_, reason, note, Some(node)).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use NodeState::{Active, Inactive, NotReady};

    fn states(of: &[(&str, NodeState)]) -> BTreeMap<String, (String, NodeState)> {
        of.iter().map(|(name, state)| ((*name).to_owned(), (format!("uid-{name}"), *state))).collect()
    }

    fn instances(count: usize) -> HashSet<Instance> {
        (0..count).map(|number| ("customer-a".to_owned(), format!("{number:04}"))).collect()
    }

    fn all(losses: &mut Losses) -> Vec<Tell> {
        std::iter::from_fn(|| Some(losses.next()).filter(|few| !few.is_empty())).flatten().collect()
    }

    fn news(tells: &[Tell]) -> Vec<News> {
        tells.iter().map(|one| one.news).collect()
    }

    #[test]
    fn a_loss_is_told_once_and_so_is_the_return() {
        let mut losses = Losses::default();
        losses.look(states(&[("n", Active)]), |_| instances(2));
        losses.look(states(&[("n", Inactive)]), |_| instances(2));
        assert_eq!(news(&all(&mut losses)), [News::Lost, News::Lost]);
        losses.look(states(&[("n", Inactive)]), |_| instances(2));
        assert_eq!(news(&all(&mut losses)), []);
        losses.look(states(&[("n", NotReady)]), |_| instances(0));
        assert_eq!(news(&all(&mut losses)), [News::Back, News::Back], "who moved away is told, too");
        losses.look(states(&[("n", Active)]), |_| instances(2));
        assert_eq!(news(&all(&mut losses)), []);
    }

    #[test]
    fn few_are_told_at_once_and_those_not_told_yet_hear_nothing_of_a_short_loss() {
        let mut losses = Losses::default();
        losses.look(states(&[("n", Active)]), |_| instances(25));
        losses.look(states(&[("n", Inactive)]), |_| instances(25));
        assert_eq!(losses.next().len(), AT_ONCE);
        losses.look(states(&[("n", Active)]), |_| instances(25));
        assert_eq!(news(&all(&mut losses)), [News::Back; AT_ONCE]);
    }

    #[test]
    fn a_new_leader_does_not_repeat_what_the_one_before_has_told() {
        let mut losses = Losses::default();
        assert_eq!(losses.look(states(&[("n", Inactive)]), |_| instances(1)), []);
        losses.look(states(&[("n", Active)]), |_| instances(1));
        assert_eq!(news(&all(&mut losses)), []);
    }

    #[test]
    fn a_node_that_is_removed_is_forgotten_and_its_namesake_is_another() {
        let mut losses = Losses::default();
        losses.look(states(&[("n", Active)]), |_| instances(1));
        losses.look(states(&[("n", Inactive)]), |_| instances(1));
        let gone = losses.look(states(&[]), |_| instances(1));
        assert_eq!(gone, [Change { node: "n".into(), from: Some(Inactive), to: None }]);
        assert_eq!(news(&all(&mut losses)), []);
        let namesake = [("n".to_owned(), ("another".to_owned(), Inactive))].into();
        losses.look(namesake, |_| instances(1));
        assert_eq!(news(&all(&mut losses)), [], "it was never here");
    }

    #[test]
    fn however_many_are_lost_the_queue_is_bounded() {
        let mut losses = Losses::default();
        losses.look(states(&[("n", Active)]), |_| instances(0));
        losses.look(states(&[("n", Inactive)]), |_| instances(MOST_WAITING + 500));
        assert_eq!(all(&mut losses).len(), MOST_WAITING);
    }
}

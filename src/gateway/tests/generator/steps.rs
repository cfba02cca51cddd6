//! What a case is made of: requests to the HTTP API, and what happens to the replicas between them.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::filters::{self, Filter};
use super::ids::Id;
use super::shapes::{Component, Config, Point, vector};

/// Collections that the model knows, and one more that only wild requests touch.
pub(super) const NAMES: [&str; 3] = ["c0", "c1", "w"];
pub(super) const WILD: usize = 2;

/// Types of indexes.
const KINDS: [&str; 6] = ["keyword", "integer", "float", "bool", "datetime", "uuid"];

/// Which part of payloads or vectors an answer is to bring.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Pick {
    Default,
    All(bool),
    These(Vec<String>),
    Include(Vec<String>),
    Exclude(Vec<String>),
}

/// One search.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Search {
    pub(super) near: Result<Vec<Component>, Id>,
    pub(super) using: String,
    pub(super) limit: u64,
    pub(super) offset: u64,
    pub(super) filter: Option<Filter>,
    pub(super) threshold: Option<f32>,
    pub(super) with_payload: Pick,
    pub(super) with_vector: Pick,
    pub(super) ef: Option<u64>,
    pub(super) exact: bool,
}

/// What to do with a collection.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Act {
    Create(Config),
    Drop,
    /// The type of a field's index; `None` drops it.
    Index(String, Option<&'static str>),
    /// Points, and whether in the binary form.
    Upsert(Vec<Point>, bool),
    DeleteIds(Vec<Id>),
    DeleteFilter(Filter),
    /// An earlier write once more, counted from the newest.
    Repeat(usize),
    Get(Id, bool, bool),
    Scroll {
        offset: Option<Id>,
        limit: u64,
        filter: Option<Filter>,
        with_payload: Pick,
        with_vector: Pick,
    },
    Count(Option<Filter>),
    /// One search, or a batch.
    Search(Vec<Search>),
    /// A request that is right but for some letters.
    Wild(Box<Act>),
    /// Opens the replicas of the first node anew from what those of the second have stored.
    Open(u64, u64),
    /// A node that leads from now on.
    Lead(u64),
    LoseAnswer,
    /// The network keeps a copy of what the next request tells shards.
    Keep,
    /// All kept copies come.
    Late,
    /// So many seconds pass.
    Pass(u64),
}

/// One step of a case.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    /// Place in [`NAMES`].
    pub(super) name: usize,
    pub(super) act: Act,
    /// The node whose HTTP port is asked; 0 is a gateway.
    pub(super) door: usize,
    pub(super) level: Option<&'static str>,
    /// What the spelling of the request follows from.
    pub(super) spelling: u64,
}

/// A case: a number of shards, and what is done.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Case {
    pub(super) shards: u32,
    pub(super) steps: Vec<Step>,
}

impl Case {
    /// The case that follows from `seed`.
    pub(super) fn of(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let configs: [Config; NAMES.len()] = std::array::from_fn(|_| Config::any(&mut rng));
        let mut steps = vec![step(&mut rng, 0, Act::Create(configs[0].clone()))];
        for _ in 0..rng.random_range(0..4) {
            let kinds = if rng.random() { KINDS.len() } else { 2 };
            let (path, kind) = (filters::path(&mut rng), KINDS[rng.random_range(0..kinds)]);
            steps.push(step(&mut rng, 0, Act::Index(path, Some(kind))));
        }
        for _ in 0..rng.random_range(6..22) {
            let name = usize::from(rng.random_ratio(1, 6));
            let act = act(&mut rng, &configs[name]);
            match act {
                Act::Wild(_) => {
                    let inner = act_of_points(&mut rng, &configs[WILD]);
                    if steps.iter().all(|step| step.name != WILD) {
                        steps.push(step(&mut rng, WILD, Act::Create(configs[WILD].clone())));
                    }
                    steps.push(step(&mut rng, WILD, Act::Wild(Box::new(inner))));
                }
                act => steps.push(step(&mut rng, name, act)),
            }
        }
        if rng.random_ratio(1, 6) {
            // Copies that come after all that remembers them is gone, over whatever was written since.
            let (time, again) = ([1, 400, 1_000][rng.random_range(0..3)], rng.random());
            let between = if again { Act::Drop } else { Act::Pass(time) };
            for act in [Act::Keep, points(&mut rng, &configs[0]), between, points(&mut rng, &configs[0]), Act::Late] {
                steps.push(step(&mut rng, 0, act));
            }
        }
        if rng.random_ratio(1, 6) {
            // Clients that come back after a while, over whatever was written since.
            let later = [Act::Pass(400), points(&mut rng, &configs[0]), Act::Repeat(rng.random_range(1..4))];
            for act in later {
                steps.push(step(&mut rng, 0, act));
            }
        }
        Self { shards: rng.random_range(1..3), steps }
    }
}

fn step(rng: &mut StdRng, name: usize, act: Act) -> Step {
    let level = [None, None, Some("one"), Some("quorum"), Some("all")][rng.random_range(0..5)];
    Step { name, act, door: rng.random_range(0..4), level, spelling: rng.random() }
}

fn act(rng: &mut StdRng, config: &Config) -> Act {
    match rng.random_range(0..64) {
        0 => Act::Drop,
        1..3 => Act::Create(config.clone()),
        3 => Act::Create(Config::any(rng)),
        4..8 => {
            let kind = rng.random_ratio(4, 5).then(|| KINDS[rng.random_range(0..KINDS.len())]);
            Act::Index(filters::path(rng), kind)
        }
        8..11 => Act::Repeat(rng.random_range(0..4)),
        11..14 => {
            let to = rng.random_range(1..4);
            Act::Open(to, if rng.random() { to } else { rng.random_range(1..4) })
        }
        14 => Act::Lead(rng.random_range(1..4)),
        15 if rng.random() => Act::Pass([1, 60, 400, 1_000][rng.random_range(0..4)]),
        15 => Act::LoseAnswer,
        16 => Act::Keep,
        17 => Act::Late,
        18..21 => Act::Wild(Box::new(Act::Drop)),
        _ => act_of_points(rng, config),
    }
}

fn act_of_points(rng: &mut StdRng, config: &Config) -> Act {
    match rng.random_range(0..20) {
        0..7 => points(rng, config),
        7 => Act::DeleteIds((0..rng.random_range(1..5)).map(|_| Id::any(rng)).collect()),
        8..10 => Act::DeleteFilter(filters::filter(rng)),
        10 => Act::Get(Id::any(rng), rng.random(), rng.random()),
        11..14 => Act::Scroll {
            offset: rng.random::<bool>().then(|| Id::any(rng)),
            limit: limit(rng),
            filter: some_filter(rng),
            with_payload: pick(rng, true),
            with_vector: pick(rng, false),
        },
        14..17 => Act::Count(some_filter(rng)),
        17 => Act::Search((0..rng.random_range(0..4)).map(|_| search(rng, config)).collect()),
        _ => Act::Search(vec![search(rng, config)]),
    }
}

/// Several points of one form: the binary one gives each point one vector, all the same one, and asks for no version.
fn points(rng: &mut StdRng, config: &Config) -> Act {
    let binary = rng.random_ratio(1, 4);
    let many = if rng.random_ratio(1, 20) { 0 } else { rng.random_range(1..7) };
    let mut points: Vec<Point> = (0..many).map(|_| Point::any(rng, config, !binary)).collect();
    if !rng.random_ratio(1, 15) {
        points.sort_by_key(|point| point.id);
        points.dedup_by_key(|point| point.id);
    }
    if binary {
        let names: Vec<&String> = config.vectors.keys().collect();
        let name = names[rng.random_range(0..names.len())];
        let size = config.vectors[name].size;
        for point in &mut points {
            let mut of_point = vector(rng, size);
            // All are of one length there, or the body says so of itself.
            of_point.truncate(size.min(4));
            point.vectors = [(name.clone(), of_point)].into();
        }
    }
    Act::Upsert(points, binary)
}

fn some_filter(rng: &mut StdRng) -> Option<Filter> {
    rng.random_ratio(4, 5).then(|| filters::filter(rng))
}

fn limit(rng: &mut StdRng) -> u64 {
    match rng.random_range(0..30) {
        0 => [0, 9_999, 10_000, 10_001][rng.random_range(0..4)],
        1..10 => 100,
        _ => rng.random_range(1..6),
    }
}

fn pick(rng: &mut StdRng, objects: bool) -> Pick {
    let names = |rng: &mut StdRng| {
        let known = if objects { super::json::key } else { |rng: &mut StdRng| ["t", "u", ""][rng.random_range(0..3)] };
        (0..rng.random_range(0..3)).map(|_| known(rng).to_owned()).collect()
    };
    match rng.random_range(0..10) {
        0 => Pick::These(names(rng)),
        1 if objects => Pick::Include(names(rng)),
        2 if objects => Pick::Exclude(names(rng)),
        3..6 => Pick::All(rng.random()),
        _ => Pick::Default,
    }
}

fn search(rng: &mut StdRng, config: &Config) -> Search {
    let names: Vec<&String> = config.vectors.keys().collect();
    let using = if rng.random_ratio(1, 30) { "stranger" } else { names[rng.random_range(0..names.len())] };
    let size = config.vectors.get(using).map_or(1, |params| params.size);
    Search {
        near: if rng.random_ratio(1, 4) { Err(Id::any(rng)) } else { Ok(vector(rng, size)) },
        using: using.to_owned(),
        limit: limit(rng),
        offset: [0, 0, 0, 1, 3, 9_998, u64::MAX][if rng.random_ratio(1, 3) { rng.random_range(0..7) } else { 0 }],
        filter: some_filter(rng).filter(|_| rng.random()),
        threshold: rng.random_ratio(1, 4).then(|| [-1.0, -0.0, 0.5, 1.0, 3.0][rng.random_range(0..5)]),
        with_payload: pick(rng, true),
        with_vector: pick(rng, false),
        ef: rng.random_ratio(1, 8).then(|| [0, 1, 100, 100_000, 100_001][rng.random_range(0..5)]),
        exact: rng.random(),
    }
}

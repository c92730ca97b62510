//! How alike two justifications are: cosine of character 3- to 5-grams, weighted by how rare they are (TF-IDF, Salton
//! and Buckley 1988). It links duplicates and picks quotes. It does not know what a text means, and nothing here
//! claims so.

/// Grams are counted in this many buckets: collisions are rare, and memory does not grow with the register.
const BUCKETS: u64 = 1 << 18;
/// Texts from which the weights are taken, at most.
const SAMPLE: usize = 20_000;
/// Characters of a text that are compared, at most.
const LENGTH: usize = 600;

/// A text as a direction: buckets with their weights, sorted, of length 1.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Direction(Vec<(u32, f32)>);

impl Direction {
    /// 1 for the same words, 0 for nothing in common. An empty text is like no other.
    pub(crate) fn cosine(&self, other: &Self) -> f64 {
        let (mut left, mut right) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut sum = 0.0;
        while let (Some((l, x)), Some((r, y))) = (left.peek(), right.peek()) {
            match l.cmp(r) {
                std::cmp::Ordering::Less => {
                    left.next();
                }
                std::cmp::Ordering::Greater => {
                    right.next();
                }
                std::cmp::Ordering::Equal => {
                    sum += f64::from(*x) * f64::from(*y);
                    left.next();
                    right.next();
                }
            }
        }
        sum
    }
}

/// How rare each gram is among the texts of a register.
#[derive(Debug)]
pub(crate) struct Corpus {
    seen: Vec<u32>,
    texts: u32,
}

impl Corpus {
    /// Of texts in a fixed order; of very many, every so-manieth is taken.
    pub(crate) fn of(texts: &[&str]) -> Self {
        let mut corpus = Self {
            seen: Vec::new(),
            texts: 0,
        };
        if texts.iter().all(|t| t.is_empty()) {
            return corpus;
        }
        corpus.seen = vec![0; usize::try_from(BUCKETS).unwrap_or(0)];
        for text in texts.iter().step_by(texts.len().div_ceil(SAMPLE).max(1)) {
            corpus.texts += 1;
            let mut grams = grams(&masked(text));
            grams.dedup();
            for gram in grams {
                if let Some(seen) = corpus.seen.get_mut(gram as usize) {
                    *seen += 1;
                }
            }
        }
        corpus
    }

    /// The direction of a masked text.
    pub(crate) fn direction(&self, masked: &str) -> Direction {
        let grams = grams(masked);
        let mut weights: Vec<(u32, f32)> = grams
            .chunk_by(|x, y| x == y)
            .filter_map(|run| run.first().map(|gram| (*gram, run.len())))
            .map(|(gram, times)| (gram, self.weight(gram) * (1.0 + (times as f32).ln())))
            .collect();
        let length = weights.iter().map(|(_, w)| w * w).sum::<f32>().sqrt();
        for (_, weight) in &mut weights {
            *weight /= length.max(f32::MIN_POSITIVE);
        }
        Direction(weights)
    }

    fn weight(&self, gram: u32) -> f32 {
        let seen = self.seen.get(gram as usize).copied().unwrap_or(0);
        ((1.0 + self.texts as f32) / (1.0 + seen as f32)).ln() + 1.0
    }
}

/// A text without what differs between two askers with one need: case, numbers, ids such as `svc-pay`, signs.
pub(crate) fn masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(LENGTH));
    let lower: String = text
        .chars()
        .take(LENGTH)
        .flat_map(char::to_lowercase)
        .collect();
    let words = lower.split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_'));
    let named = |w: &&str| {
        let w = w.trim_matches(['-', '_']);
        !w.is_empty() && !w.contains(['-', '_']) && !w.chars().any(|c| c.is_ascii_digit())
    };
    for word in words.filter(named) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word.trim_matches(['-', '_']));
    }
    out
}

/// The buckets of all 3- to 5-grams within the padded words, sorted, repeats kept.
fn grams(masked: &str) -> Vec<u32> {
    let mut grams = Vec::with_capacity(masked.len() * 3);
    for word in masked.split(' ').filter(|w| !w.is_empty()) {
        let padded: Vec<char> = std::iter::once(' ')
            .chain(word.chars())
            .chain(std::iter::once(' '))
            .collect();
        for length in 3..=5 {
            grams.extend(padded.windows(length).map(bucket));
        }
    }
    grams.sort_unstable();
    grams
}

/// FNV-1a, folded: the same on every machine.
fn bucket(gram: &[char]) -> u32 {
    let hash = gram.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, c| {
        (hash ^ u64::from(u32::from(*c))).wrapping_mul(0x0000_0100_0000_01b3)
    });
    u32::try_from((hash ^ (hash >> 32)) % BUCKETS).unwrap_or(0)
}

/// A text that stands for others.
pub(crate) struct Medoid {
    /// Its place among the texts.
    pub(crate) at: usize,
    /// How many are like it, itself included.
    pub(crate) alike: u32,
}

/// Up to `most` texts, each with as many like it as possible that are not yet stood for. The texts are taken in their
/// order, and no more than 200 are compared.
pub(crate) fn medoids(corpus: &Corpus, texts: &[&str], from: f64, most: usize) -> Vec<Medoid> {
    let directions: Vec<(usize, Direction)> = texts
        .iter()
        .enumerate()
        .filter(|(_, text)| !text.trim().is_empty())
        .take(200)
        .map(|(at, text)| (at, corpus.direction(&masked(text))))
        .collect();
    let mut left: Vec<usize> = (0..directions.len()).collect();
    let mut medoids = Vec::new();
    while medoids.len() < most {
        let like = |x: usize| {
            let mine = directions.get(x).map(|(_, d)| d);
            let alike = |y: &usize| {
                let theirs = directions.get(*y).map(|(_, d)| d);
                *y == x || mine.zip(theirs).is_some_and(|(x, y)| x.cosine(y) >= from)
            };
            left.iter().copied().filter(alike).collect::<Vec<_>>()
        };
        let best = left
            .iter()
            .map(|x| (*x, like(*x)))
            .max_by(|(x, likes), (y, others)| likes.len().cmp(&others.len()).then(y.cmp(x)));
        let Some((x, likes)) = best else {
            return medoids;
        };
        if let Some((at, _)) = directions.get(x) {
            let alike = u32::try_from(likes.len()).unwrap_or(u32::MAX);
            medoids.push(Medoid { at: *at, alike });
        }
        left.retain(|y| !likes.contains(y));
    }
    medoids
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXTS: [&str; 6] = [
        "Vendor Acme only rotates API keys every 90 days, so svc-pay cannot meet the SEC-12 rotation limit",
        "Vendor Globex only rotates API keys every 180 days, so ml-rank-7 cannot meet the AI-7 rotation limit. Thanks!",
        "The owner of the service account for kyc-bot left and a new one is being assigned",
        "Legacy appliance behind chat-eu only speaks TLS 1.1, replacement planned in 12 weeks",
        "hr-screen only uses synthetic data so the bias evaluation in AI-7 is not meaningful",
        "Human review adds 30 minutes and agent-claims is a low-latency service",
    ];

    fn alike(left: &str, right: &str) -> f64 {
        let corpus = Corpus::of(&TEXTS);
        corpus
            .direction(&masked(left))
            .cosine(&corpus.direction(&masked(right)))
    }

    #[test]
    fn one_template_filled_twice_is_alike_and_another_matter_is_not() {
        assert!(alike(TEXTS[0], TEXTS[1]) > 0.4);
        for other in &TEXTS[2..] {
            assert!(alike(TEXTS[0], other) < 0.4, "{other}");
        }
    }

    #[test]
    fn the_same_words_are_wholly_alike_and_an_empty_text_is_like_no_other() {
        assert!((alike(TEXTS[2], TEXTS[2]) - 1.0).abs() < 1e-5);
        assert!(alike("", "").abs() < 1e-9);
        assert!(alike("12-7 / 90", TEXTS[0]).abs() < 1e-9);
    }

    #[test]
    fn ids_and_numbers_are_masked() {
        assert_eq!(
            masked("Rotate svc-pay_2 every 90 days!"),
            "rotate every days"
        );
    }
}

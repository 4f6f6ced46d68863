//! What holds for any job, options and metrics.

use proptest::prelude::*;

use super::*;
use crate::domain::topology::Vertex;
use crate::domain::window::VertexSample;

/// Everything of a pass as text: equal texts are equal bits, NaN included.
fn bits(pass: &Pass) -> String {
    format!("{pass:?}")
}

/// What a pass says of these vertices, as text: their evaluation and their changes.
fn of_vertices(pass: &Pass, topology: &Topology) -> Vec<String> {
    let known = |vertex: &VertexId| topology.vertex(*vertex).is_some();
    let vertices = pass.evaluation.iter().flat_map(|e| &e.vertices).filter(|(v, _)| known(v)).map(|v| format!("{v:?}"));
    vertices.chain(pass.changes.iter().filter(|c| known(&c.vertex)).map(|c| format!("{c:?}"))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn evaluating_twice_gives_the_same_bits_and_explaining_changes_none(job in any_job()) {
        let pass = job.pass();
        prop_assert_eq!(bits(&pass), bits(&job.pass()));
        let explained = job.pass_with(None, true);
        prop_assert!(explained.explanation.is_some());
        prop_assert_eq!(bits(&pass), bits(&Pass { explanation: None, ..explained }));
    }

    #[test]
    fn parallelism_stays_within_its_bounds(job in any_job()) {
        for change in job.pass().changes {
            let vertex = job.topology.vertex(change.vertex).unwrap();
            let lower = vertex.parallelism.min(job.options.vertex_min_parallelism);
            let upper = vertex.parallelism.max(job.options.vertex_max_parallelism).min(vertex.max_parallelism);
            prop_assert!((lower..=upper).contains(&change.to), "{lower} <= {} <= {upper}", change.to);
            prop_assert_ne!(change.from, change.to);
        }
    }

    #[test]
    fn an_unknown_number_never_decides(job in any_job()) {
        let pass = job.pass();
        for change in &pass.changes {
            prop_assert!(!change.true_processing_rate.is_nan() && !change.target_rate.is_nan());
            prop_assert!(!pass.excluded.contains(&change.vertex));
            let newest = job.samples.last().unwrap().vertex(change.vertex).unwrap();
            prop_assert!(newest.load.is_finite());
        }
    }

    #[test]
    fn a_gauge_that_is_nan_keeps_its_vertex_as_it_is(job in any_job(), vertex in 0..6usize, gauge in 0..3usize) {
        let vertices = job.topology.vertices();
        let vertex = &vertices[vertex % vertices.len()];
        let mut blind = job.clone();
        blind.each_sample(vertex.id, |sample| match gauge {
            0 => sample.load = f64::NAN,
            1 => (sample.records_in, sample.records_in_per_second, sample.observed_tpr) = (f64::NAN, f64::NAN, f64::NAN),
            _ => *sample = VertexSample::MISSING,
        });
        let pass = blind.pass();
        prop_assert!(pass.changes.iter().all(|c| c.vertex != vertex.id), "{:?}", pass.changes);
        if let Some(proposal) = &pass.proposal {
            prop_assert_eq!(proposal.overrides.get(&vertex.id), Some(&vertex.parallelism));
        }
    }

    #[test]
    fn a_proposal_is_complete_and_every_other_pass_proposes_nothing(job in any_job()) {
        let pass = job.pass();
        prop_assert_eq!(pass.proposal.is_some(), pass.reason.code == ReasonCode::Proposed);
        prop_assert!(!pass.reason.sentence.is_empty());
        if let Some(proposal) = &pass.proposal {
            let after = |v: &Vertex| pass.changes.iter().find(|c| c.vertex == v.id).map_or(v.parallelism, |c| c.to);
            let wanted: Vec<_> = job.topology.vertices().iter().map(|v| (v.id, after(v))).collect();
            let complete: BTreeMap<_, _> = wanted.into_iter().collect();
            prop_assert_eq!(&proposal.overrides, &complete);
        } else {
            prop_assert_eq!(pass.applied(at(9999)), pass.kept);
        }
    }

    #[test]
    fn rates_scale_with_their_counters(job in any_job(), exponent in 1..6i32) {
        let k = f64::from(1 << exponent);
        let mut scaled = job.clone();
        for vertex in job.topology.vertices() {
            scaled.each_sample(vertex.id, |sample| {
                sample.records_in *= k;
                sample.records_out *= k;
                sample.lag = sample.lag.map(|lag| lag * k);
                sample.observed_tpr *= k;
                sample.records_in_per_second *= k;
            });
        }
        let (one, many) = (job.pass(), scaled.pass());
        prop_assert_eq!(one.evaluation.is_some(), many.evaluation.is_some());
        let pairs = one.evaluation.iter().flat_map(|e| &e.vertices).zip(many.evaluation.iter().flat_map(|e| &e.vertices));
        for ((_, a), (_, b)) in pairs {
            for (a, b) in [
                (a.average(M::TargetDataRate), b.average(M::TargetDataRate)),
                (a.current(M::CatchUpDataRate), b.current(M::CatchUpDataRate)),
                (a.average(M::TrueProcessingRate), b.average(M::TrueProcessingRate)),
            ] {
                // Every stage rounds to three decimals, and a downstream vertex multiplies the error by its ratios.
                let same = (a * k - b).abs() <= 1e-3 * k * (1.0 + a.abs()) || (a * k == b) || (a.is_nan() && b.is_nan());
                prop_assert!(same, "{a} * {k} against {b}");
            }
        }
    }

    #[test]
    fn an_idle_vertex_beside_changes_nothing_else(job in any_job()) {
        let idle = id(99);
        let mut vertices = job.topology.vertices().to_vec();
        vertices.push(Vertex { max_parallelism: 1, ..vertex(99, "idle", 1, &[]) });
        let mut wider = job.clone();
        wider.topology = Topology::new(vertices);
        let nothing = VertexSample { load: 0.0, records_in: 0.0, records_out: 0.0, lag: Some(0.0), accumulated_busy_time: 0.0, ..VertexSample::MISSING };
        for sample in &mut wider.samples {
            let sample = Arc::make_mut(sample);
            let vertices = sample.vertices.iter().copied().chain([(idle, nothing)]).collect();
            *sample = Sample::new(sample.at, vertices, sample.global);
        }
        let (alone, beside) = (job.pass(), wider.pass());
        prop_assert_eq!(of_vertices(&alone, &job.topology), of_vertices(&beside, &job.topology));
        prop_assert!(beside.changes.iter().all(|c| c.vertex != idle));
    }
}

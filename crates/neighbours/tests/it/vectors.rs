use longweave_neighbours::{Vectors, similarity};
use proptest::prelude::*;

fn pairs() -> impl Strategy<Value = (Vec<f64>, Vec<f64>)> {
    let number = || prop_oneof![Just(0.0), -1.0..1.0f64, -1e-3..1e-3f64, -1e6..1e6f64];
    (1usize..400).prop_flat_map(move |dims| {
        (prop::collection::vec(number(), dims), prop::collection::vec(number(), dims))
    })
}

fn norm(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

proptest! {
    #[test]
    fn similarity_is_the_cosine_to_within_rounding((a, b) in pairs()) {
        prop_assume!(norm(&a) > 0.0 && norm(&b) > 0.0);
        let dims = a.len() as f64;
        let mut vectors = Vectors::with_capacity(a.len(), 2);
        vectors.push_f64(&a);
        vectors.push_f64(&b);
        for i in 0..2 {
            let fixed: Vec<f64> = vectors.row(i).iter().map(|&x| f64::from(x)).collect();
            prop_assert!((norm(&fixed) - 16_384.0).abs() <= dims.sqrt() / 2.0 + 1e-6);
        }
        let cosine = a.iter().zip(&b).map(|(a, b)| a * b).sum::<f64>() / norm(&a) / norm(&b);
        let error = f64::from(similarity(vectors.row(0), vectors.row(1))) - cosine * 2f64.powi(28);
        prop_assert!(error.abs() <= 16_384.0 * dims.sqrt() + dims / 4.0 + 1.0, "{}", error);
    }

    #[test]
    fn rows_come_back_as_they_were((a, b) in pairs()) {
        let mut vectors = Vectors::with_capacity(a.len(), 2);
        vectors.push_f64(&a);
        vectors.push(&b.iter().map(|&x| x as f32).collect::<Vec<_>>());
        let mut others = Vectors::with_capacity(a.len(), 0);
        others.push_fixed(vectors.row(0));
        others.push_f64(&b.iter().map(|&x| f64::from(x as f32)).collect::<Vec<_>>());
        prop_assert_eq!(&vectors, &others);
        prop_assert_eq!(Vectors::from_data(a.len(), vectors.data().to_vec()).unwrap(), vectors);
    }
}

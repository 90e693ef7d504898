import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import life


def test_ten_thousand_random_steps_agree_with_a_simple_model_and_with_the_fold() -> None:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawn) as pool:
        taken = list(pool.map(life.prove, [5_000, 5_000]))
    assert 10_000 <= sum(taken) < 13_000

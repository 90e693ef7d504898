import same_key

from volbal.storage.database import Database


def test_fifty_threads_with_one_key_make_one_order_two_hundred_times(database: Database) -> None:
    same_key.prove(database, rounds=200)

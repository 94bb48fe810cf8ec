from datetime import UTC, datetime, timedelta

from core.ids import lowest_uuid7, uuid7


def test_ids_sort_in_the_order_they_were_made():
    made = [uuid7() for _ in range(1000)]

    # A fraction of a microsecond is shared by neighbours; nothing further apart is swapped.
    assert all(earlier < later for earlier, later in zip(made, made[20:], strict=False))
    assert len(set(made)) == 1000
    assert {(found.version, found.variant) for found in made} == {(7, "specified in RFC 4122")}


def test_the_lowest_id_of_a_moment_bounds_what_is_made_around_it():
    now = datetime.now(UTC)

    assert (
        lowest_uuid7(now - timedelta(seconds=1))
        < uuid7()
        < lowest_uuid7(now + timedelta(seconds=5))
    )

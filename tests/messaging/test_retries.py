import pytest

from messaging import retries
from messaging.channels.smtp_replies import GREYLIST_SECONDS


def delays(lane="normal", tries=0, *, count=2000, **options):
    return [retries.delay("email", lane, tries, **options).total_seconds() for _ in range(count)]


@pytest.mark.parametrize(
    ("lane", "floor", "base", "cap"),
    [("high", 1, 2, 20), ("normal", 15, 30, 3600), ("bulk", 60, 300, 14_400)],
)
@pytest.mark.parametrize("tries", [0, 1, 3, 6, 12, 49])
def test_the_delay_is_spread_evenly_between_the_floor_and_a_doubling_step(
    lane, floor, base, cap, tries
):
    step = min(cap, base * 2**tries)

    found = delays(lane, tries)

    assert floor <= min(found) <= floor + step * 0.02
    assert floor + step * 0.98 <= max(found) <= floor + step
    quarters = [0, 0, 0, 0]
    for one in found:
        quarters[min(3, int((one - floor) / step * 4))] += 1
    # 500 each; 5 standard deviations are 97.
    assert all(abs(quarter - 500) < 97 for quarter in quarters)


@pytest.mark.parametrize(("asked", "least"), [(100, 100), (3600, 3600), (7, 15), (0, 15)])
def test_it_is_never_below_what_the_provider_asked_for(asked, least):
    assert min(delays(retry_after=asked, count=300)) >= least


@pytest.mark.parametrize(("asked", "least"), [(10**9, 3600), (-5, 1), (0, 1), (0.2, 1)])
def test_what_the_provider_asks_for_is_kept_between_a_second_and_an_hour(asked, least):
    backoff = retries.Backoff(floor=0, base=1, cap=1)

    found = [backoff.delay(0, retry_after=asked).total_seconds() for _ in range(300)]

    assert least <= min(found)
    assert max(found) <= least + 1


@pytest.mark.parametrize("lane", ["high", "normal", "bulk"])
def test_a_greylisted_message_rests_for_a_minute_at_least(lane):
    assert min(delays(lane, retry_after=GREYLIST_SECONDS)) >= 60


def test_every_channel_and_lane_has_its_own_setting(settings):
    assert set(settings.RETRIES) == {
        (family, lane) for family in settings.CHANNEL_FAMILIES for lane in settings.LANES
    }
    settings.RETRIES = {**settings.RETRIES, ("email", "high"): (5, 1, 1)}

    assert 5 <= min(delays("high")) <= max(delays("high")) <= 6
    assert min(delays("normal")) >= 15

from bridge.kit.candidate import HIGHEST, RELEASED, Candidate, Standing, Timing, Write

TIMING = Timing(lease=15.0, renew=10.0, retry=2.0)


def held(holder: str, moved: int, transitions: int = 1, seconds: float = 15.0) -> Standing:
    return Standing(holder, seconds, transitions, moved)


def saw(*seen: tuple[Standing | None, float]) -> Candidate:
    candidate = Candidate("me", TIMING)
    for standing, now in seen:
        candidate.see(standing, now)
    return candidate


def leader(now: float = 100.0) -> Candidate:
    """One that acquired a Lease which nobody held, in term 1."""
    candidate = saw((held("", 0, 0), now - 15.0))
    assert candidate.next(now) == Write("me", 15.0, 1, acquires=True)
    candidate.wrote(held("me", 1), now, now)
    return candidate


def test_before_anything_was_read_there_is_nothing_to_do_but_look() -> None:
    assert Candidate("me", TIMING).next(1e6) is None


def test_a_lease_that_is_not_there_is_made_for_nobody_and_is_free_when_its_time_is_over() -> None:
    candidate = saw((None, 0.0))
    assert candidate.next(0.0) == Write("", 15.0, 0, acquires=False)
    candidate.wrote(held("", 1, 0), 0.0, 0.5)
    assert candidate.term is None
    assert candidate.next(15.4) is None
    assert candidate.next(15.5) == Write("me", 15.0, 1, acquires=True)


def test_a_renewal_lasts_from_when_it_was_sent_and_not_from_when_it_was_answered() -> None:
    candidate = leader(100.0)
    assert candidate.term == (1, 110.0)
    candidate.wrote(held("me", 2), 102.0, 109.0)
    assert candidate.term == (1, 112.0)


def test_who_sees_another_holder_leads_no_more_at_once() -> None:
    for standing in (held("other", 2, 2), held("", 2)):
        candidate = leader(100.0)
        candidate.see(standing, 103.0)
        assert candidate.term == (1, 103.0)
        assert candidate.next(103.0) is None


def test_another_holder_is_waited_for_as_long_as_its_lease_says_and_anew_after_each_move() -> None:
    candidate = saw((held("other", 1, 7, seconds=40.0), 0.0))
    assert candidate.next(39.0) is None
    candidate.see(held("other", 2, 7, seconds=40.0), 39.0)
    assert candidate.next(78.0) is None
    assert candidate.next(79.0) == Write("me", 15.0, 8, acquires=True)


def test_a_lease_that_nobody_else_took_is_renewed_however_late_and_the_term_is_the_same() -> None:
    candidate = leader(100.0)
    assert candidate.next(500.0) == Write("me", 15.0, 1, acquires=False)
    candidate.wrote(held("me", 2), 500.0, 500.1)
    assert candidate.term == (1, 510.0)


def test_a_lead_that_is_won_anew_has_another_number() -> None:
    candidate = leader(100.0)
    candidate.see(held("other", 2, 2), 120.0)
    write = candidate.next(135.0)
    assert write == Write("me", 15.0, 3, acquires=True)
    candidate.wrote(held("me", 3, 3), 135.0, 135.0)
    assert candidate.term == (3, 145.0)


def test_a_number_that_a_hand_wrote_keeps_nobody_from_leading() -> None:
    candidate = saw((held("other", 1, HIGHEST), 0.0))
    for number in (1, 2):
        now = 100.0 * number
        assert candidate.next(now) == Write("me", 15.0, number, acquires=True)
        candidate.wrote(held("me", 2 * number, number), now, now)
        assert candidate.term == (number, now + 10.0)
        candidate.see(held("other", 2 * number + 1, HIGHEST), now + 1)


def test_an_acquisition_whose_answer_was_lost_counts_from_the_next_renewal() -> None:
    candidate = saw((held("me", 1, 4), 50.0))
    assert candidate.term is None
    assert candidate.next(50.0) == Write("me", 15.0, 4, acquires=False)


def test_a_lease_that_is_deleted_is_made_again_by_its_holder_while_the_term_lasts_and_by_nobody_as_its_own() -> None:
    candidate = leader(100.0)
    candidate.see(None, 109.0)
    assert candidate.next(109.0) == Write("me", 15.0, 1, acquires=True)
    assert candidate.next(110.0) == Write("", 15.0, 1, acquires=False)
    other = saw((held("me", 1), 100.0), (None, 109.0))
    assert other.next(1e6) == Write("", 15.0, 1, acquires=False)


def test_who_gives_back_leads_no_more_and_the_next_one_waits_for_a_second() -> None:
    candidate = leader(100.0)
    candidate.lose(102.0)
    assert candidate.term == (1, 102.0)
    assert candidate.release() == Write("", RELEASED, 1, acquires=False)
    candidate.wrote(held("", 2, 1, RELEASED), 102.0, 102.1)
    assert candidate.release() is None
    other = saw((held("me", 1), 100.0), (held("", 2, 1, RELEASED), 104.0))
    assert other.next(105.0) == Write("me", 15.0, 2, acquires=True)


def test_who_follows_asks_now_and_then_and_at_the_moment_when_the_lease_may_be_free() -> None:
    candidate = saw((held("other", 1), 0.0))
    assert candidate.pause(0.0, 0.0) == 2.0
    assert candidate.pause(0.0, 1.0) == 2.4
    assert candidate.pause(14.5, 0.0) == 0.5
    assert candidate.pause(20.0, 0.0) == 0.0
    assert leader(100.0).pause(100.0, 1.0) == 2.0
    assert saw((None, 0.0)).pause(0.0, 1.0) == 0.0  # it is to be made

"""Who is asked for which shard while workers come, die and stay away."""

import itertools
import random

import pytest

from perennial.compute.crew import Crew, WorkerLost
from perennial.errors import BadInput, Interrupted


class Town:
    """A cluster in which time passes only when somebody waits; workers double a number."""

    def __init__(self, rooms, *, seed=0):
        self.rooms, self.now, self.names = rooms, 0.0, itertools.count()
        self.random, self.alive, self.hired = random.Random(seed), [], 0
        self.promises, self.answered, self.most = {}, [], 0
        self.deadly, self.wrong = set(), set()

    def room(self):
        return self.rooms

    def hire(self):
        worker, promise = f"worker {next(self.names)}", f"ready {next(self.names)}"
        self.alive.append(worker)
        self.hired += 1
        self.promises[promise] = worker, None
        return worker, promise

    def ask(self, worker, given):
        promise = f"answer {next(self.names)}"
        self.promises[promise] = worker, given
        self.most = max(self.most, sum(given is not None for _, given in self.promises.values()))
        return promise

    def wait(self, promises, *, seconds):
        self.now += seconds
        able = [p for p in promises if self.rooms > 0 or self.promises[p][0] not in self.alive]
        return self.random.sample(able, 1) if able else []

    def result(self, promise):
        worker, given = self.promises.pop(promise)
        if worker not in self.alive:
            raise WorkerLost(f"{worker} is gone")
        if given in self.deadly:
            self.alive.remove(worker)
            raise WorkerLost("out of memory")
        if given in self.wrong:
            raise BadInput("a wrong number")
        if given is not None:
            self.answered.append(given)
        return None if given is None else 2 * given

    def dismiss(self, worker):
        if worker in self.alive:
            self.alive.remove(worker)

    def kill(self, count):
        for worker in self.alive[:count]:
            self.alive.remove(worker)


def crew(town, *, ahead=1, patience=60.0):
    return Crew(town, ahead=ahead, patience_seconds=patience, clock=lambda: town.now)


@pytest.mark.parametrize(
    ("rooms", "ahead", "shards"), [(1, 0, 5), (3, 2, 40), (8, 1, 3), (2, 0, 0)]
)
def test_every_shard_is_answered_once_and_few_are_under_way(rooms, ahead, shards):
    town, taken, given = Town(rooms), 0, []

    def numbers():
        nonlocal taken
        for number in range(shards):
            taken += 1
            given.append(taken - len(answers))
            yield number

    answers = []
    for number, answer in crew(town, ahead=ahead).answers(numbers()):
        answers.append((number, answer))
    assert sorted(answers) == [(n, 2 * n) for n in range(shards)]
    assert town.most <= rooms * (1 + ahead)
    assert max(given, default=0) <= rooms * (1 + ahead) + 1


@pytest.mark.parametrize("seed", range(20))
def test_what_a_lost_worker_held_is_asked_of_others(seed):
    town, answers = Town(3, seed=seed), []
    for number, answer in crew(town, ahead=2).answers(range(50)):
        answers.append((number, answer))
        if number in (7, 20, 33):
            town.kill(1 + number % 3)
    assert sorted(answers) == [(n, 2 * n) for n in range(50)]
    assert sorted(town.answered) == list(range(50)), "what was answered is not asked again"
    assert town.hired > 3


def test_machines_that_come_later_get_work_and_those_that_go_for_good_are_done_without():
    town, answers = Town(1), []
    for number, _ in crew(town).answers(range(60)):
        answers.append(number)
        if len(answers) == 10:
            town.rooms = 4
        if len(answers) == 40:
            town.rooms = 1
            town.kill(3)
    assert sorted(answers) == list(range(60))
    assert town.hired >= 4


def test_a_shard_that_ends_one_worker_after_another_is_named():
    town = Town(2)
    town.deadly.add(5)
    with pytest.raises(Interrupted, match=r"shard 5 ended 3 workers.*out of memory"):
        list(crew(town, ahead=2).answers(range(10)))
    assert town.alive == []


def test_when_nobody_comes_it_ends_and_says_what_to_look_at():
    town = Town(0)
    with pytest.raises(Interrupted, match="no worker of the cluster was ready within 60 s"):
        list(crew(town).answers(range(3)))
    assert 60 <= town.now <= 80


def test_what_the_work_itself_refuses_is_no_loss_and_ends_it():
    town = Town(2)
    town.wrong.add(3)
    with pytest.raises(BadInput, match="a wrong number"):
        list(crew(town).answers(range(10)))
    assert town.alive == []


def test_the_same_crew_answers_again_without_hiring():
    town = Town(2)
    ours = crew(town)
    assert sorted(ours.answers(range(5))) == [(n, 2 * n) for n in range(5)]
    assert sorted(ours.answers(range(3))) == [(n, 2 * n) for n in range(3)]
    assert town.hired == 2
    ours.leave()
    assert town.alive == []

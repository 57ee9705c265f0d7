"""What the simulation stands on: the arithmetic, the autoscaler's rules, and that nothing is counted twice."""

import math
import re
import unittest

from autoscaler import Autoscaler
from cost import HERE, CostModel, Fleet, Replica, fit, measured
from run import GPU_IMAGES_PER_SECOND, decoding_cores
from simulation import Scenario, Simulation

ROOT = HERE.parent.parent

# 2 sessions, 50 images/s each.
COST = CostModel(a=0.0, b=0.02, sessions=2, max_batch=4)


def run(**changes) -> Simulation:
    rate = changes.pop("rate", 80.0)
    scenario = Scenario(COST, lambda _time: rate, rate, **({"seconds": 60, "replicas": 2} | changes))
    simulation = Simulation(scenario)
    simulation.run()
    return simulation


def total(simulation: Simulation, part: str) -> int:
    return sum(getattr(sample, part) for sample in simulation.samples)


class Cost(unittest.TestCase):
    def test_a_line_is_found_again(self) -> None:
        a, b = fit([(images, 0.004 + 0.03 * images) for images in (1, 2, 4, 8)])
        self.assertAlmostEqual(a, 0.004)
        self.assertAlmostEqual(b, 0.03)

    def test_noise_does_not_make_a_call_cheaper_than_nothing(self) -> None:
        a, b = fit([(1, 0.03), (2, 0.063), (4, 0.13)])
        self.assertEqual(a, 0)
        self.assertGreater(b, 0.03)

    def test_capacity_is_that_of_full_batches(self) -> None:
        self.assertAlmostEqual(CostModel(a=0.01, b=0.01, sessions=2, max_batch=4).capacity(), 2 * 4 / 0.05)

    def test_a_fleet_has_room_to_spare_and_never_one_replica(self) -> None:
        replica = Replica("", images_per_second=100, cores=2, gpus=0, price_per_hour=1)
        self.assertEqual(Fleet(replica, 7000, 0).replicas, 100)
        self.assertEqual(Fleet(replica, 1, 0).replicas, 2)
        self.assertAlmostEqual(Fleet(replica, 7000, 0).price_per_million_images, 100 / (7000 * 3600) * 1e6)


class Figures(unittest.TestCase):
    def test_they_are_of_the_sessions_and_batches_that_the_program_chooses(self) -> None:
        """As src/loading/layout.rs does on the CPU; where it has changed, measure.py has to measure anew."""
        text = (ROOT / "src/loading/layout.rs").read_text()
        cores_a_session, images_a_thread = (
            1 + int(re.search(rf"const {name}: NonZeroUsize = NonZeroUsize::MIN\.saturating_add\((\d+)\)", text)[1])
            for name in ("CORES_A_SESSION", "IMAGES_A_THREAD"))
        figures = measured()
        sessions = math.ceil(figures["cores"] / cores_a_session)
        threads = figures["cores"] // sessions
        chosen = {"sessions": sessions, "intra_threads": threads, "max_batch": images_a_thread * threads}
        self.assertEqual({name: figures[name] for name in chosen}, chosen)

    def test_the_whole_program_is_no_faster_than_its_network(self) -> None:
        figures = measured()
        alone = CostModel(figures["a"], figures["b"], figures["sessions"], figures["max_batch"])
        self.assertGreaterEqual(alone.capacity(), figures["images_per_second"])

    def test_a_pod_with_a_gpu_has_the_cores_that_decode_for_it(self) -> None:
        asked = re.findall(r'cpu: "(\d+)"', (ROOT / "k8s/overlays/gpu/deployment.yaml").read_text())
        needed = decoding_cores(measured(), GPU_IMAGES_PER_SECOND)
        self.assertEqual([int(cores) for cores in asked], [needed] * 2)


class Scaling(unittest.TestCase):
    def test_as_many_as_the_signal_asks_for(self) -> None:
        self.assertEqual(Autoscaler(0.7, 2, 100).replicas(0, 10, 1.4), 20)

    def test_never_more_than_three_times_at_once(self) -> None:
        self.assertEqual(Autoscaler(0.7, 2, 100).replicas(0, 2, 70), 6)

    def test_within_a_tenth_nothing_changes(self) -> None:
        self.assertEqual(Autoscaler(0.7, 2, 100).replicas(0, 10, 0.76), 10)

    def test_down_after_five_minutes_of_calm_and_slowly(self) -> None:
        scaler = Autoscaler(0.7, 2, 100)
        self.assertEqual(scaler.replicas(0, 20, 0.7), 20)
        self.assertEqual(scaler.replicas(290, 20, 0.07), 20)
        self.assertEqual(scaler.replicas(310, 20, 0.07), 16)


class Simulated(unittest.TestCase):
    def test_every_request_has_one_end(self) -> None:
        simulation = run(rate=1000.0)
        ended = total(simulation, "served") + total(simulation, "refused") + total(simulation, "late")
        waiting = sum(pod.outstanding() for pod in simulation.pods)
        self.assertEqual(total(simulation, "offered"), ended + waiting)
        self.assertGreater(total(simulation, "refused"), 0)

    def test_what_is_sustained_is_the_capacity(self) -> None:
        simulation = run(rate=1000.0)
        self.assertAlmostEqual(total(simulation, "served") / 60, 2 * COST.capacity(), delta=5)

    def test_below_capacity_nothing_is_refused(self) -> None:
        simulation = run(rate=100.0)
        self.assertEqual((total(simulation, "refused"), total(simulation, "late")), (0, 0))

    def test_the_signal_counts_what_is_refused(self) -> None:
        simulation = run(rate=1000.0)
        self.assertAlmostEqual(simulation.samples[-1].saturation, 5.0, delta=0.5)

    def test_a_seed_gives_the_same_every_time(self) -> None:
        self.assertEqual(run(seed=3).samples, run(seed=3).samples)
        self.assertNotEqual(run(seed=3).samples, run(seed=4).samples)

    def test_saturation_finds_the_number_that_utilisation_has_to_feel_for(self) -> None:
        by_saturation, by_cpu = (run(rate=1000.0, seconds=120, signal=signal) for signal in ("saturation", "cpu"))
        self.assertLess(total(by_saturation, "refused"), total(by_cpu, "refused"))

    def test_a_rollout_costs_replicas_and_no_request(self) -> None:
        still, rolling = run(rate=140.0, seconds=120), run(rate=140.0, seconds=120, rollout_at=20.0)
        self.assertEqual(total(rolling, "refused") + total(rolling, "late"), 0)
        self.assertGreater(rolling.replica_seconds, still.replica_seconds)
        self.assertEqual(len(rolling.pods), 2)


if __name__ == "__main__":
    unittest.main()

"""The proofs of the ledger at full size. `python -m bench.soak kills --n 1000`"""

import argparse

from bench import kills


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    proofs = parser.add_subparsers(dest="proof", required=True)
    kill = proofs.add_parser("kills", help="kill -9 a writing process at random moments")
    kill.add_argument("--n", type=int, default=1000)
    kill.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    print(kills.run(chosen.n, chosen.seed).sentence())


if __name__ == "__main__":
    main()

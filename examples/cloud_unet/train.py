"""Train the example network on generated scenes, on labelled photographs, or on both.

    python examples/cloud_unet/train.py --steps 300 --output build/weights/mine.pt
    python examples/cloud_unet/train.py --data SKIES --steps 1200 --output build/weights/mine.pt

Writes the weights and, next to them, `params-<name>.yaml`.
"""

import argparse
import math
from pathlib import Path

import torch
from data import generate, read_folder
from loop import Recipe, train
from weights import save

SCENES_FROM = 10_000
"""Seed of the first scene to train on; smaller seeds are kept for tests and examples."""


def add_recipe(parser: argparse.ArgumentParser) -> None:
    """Add the options that training and cross-validation share."""
    parser.add_argument("--scenes", type=int, default=300, help="generated scenes to train on (default 300)")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--steps", type=int, default=800, help="batches to train (default 800)")
    length.add_argument("--epochs", type=int, help="instead of --steps: passes over all examples")
    parser.add_argument("--batch", type=int, default=6, help="crops in a batch (default 6)")
    parser.add_argument("--width", type=int, default=12, help="channels of the first level (default 12)")
    parser.add_argument("--depth", type=int, default=4, help="levels of the U-Net (default 4)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights and the crops (default 0)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default 2)")


def recipe_of(args: argparse.Namespace, examples: int) -> Recipe:
    """Convert the options to a recipe for this number of examples."""
    steps = math.ceil(args.epochs * examples / args.batch) if args.epochs else args.steps
    return Recipe(steps, batch=args.batch, width=args.width, depth=args.depth, seed=args.seed)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with images/ and masks/ (255 cloud, 100 clear, 0 undefined)")
    parser.add_argument("--output", type=Path, default=Path("build/weights/cloud_unet.pt"), help="weights to write")
    add_recipe(parser)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    photographs = read_folder(args.data) if args.data else []
    scenes = generate(args.scenes, SCENES_FROM)
    recipe = recipe_of(args, len(photographs) + len(scenes))
    print(f"{len(photographs)} photographs and {len(scenes)} scenes, {recipe}")
    network, _ = train(recipe, photographs, scenes)
    print(f"wrote {args.output} and {save(network, recipe, args.output)}")


if __name__ == "__main__":
    main()

"""Measure the training recipe by cross-validation on labelled photographs, compared with a red/blue threshold.

    python examples/cloud_unet/evaluate.py --data SKIES --steps 1200 --json build/figures.json

Each fold is a contiguous block of the photographs sorted by name. Near duplicates of its photographs are dropped from
the training set, so that the figures are for unseen pictures. Undefined pixels are ignored.
"""

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from baseline import fit_limit, red_blue_ratio
from data import blocks, drop_near_duplicates, generate, read_folder
from loop import predict, train
from metrics import Counts, Figures
from PIL import Image
from train import SCENES_FROM, add_recipe, recipe_of


def evaluate_fold(args: argparse.Namespace, part: list[int]) -> dict[str, list[Counts]]:
    """Hold out the photographs of one part, train on the rest, and count by network and by threshold."""
    torch.set_num_threads(args.threads)
    examples = read_folder(args.data)
    held_out = [examples[index] for index in part]
    rest = [example for index, example in enumerate(examples) if index not in set(part)]
    training, scenes = drop_near_duplicates(rest, held_out), generate(args.scenes, SCENES_FROM)
    network, _ = train(recipe_of(args, len(training) + len(scenes)), training, scenes)
    limit = fit_limit(training)
    counts: dict[str, list[Counts]] = {"network": [], "red/blue": []}
    for example in held_out:
        chance = predict(network, example.image)
        counts["network"].append(Counts.of(chance >= 0.5, example.label))
        counts["red/blue"].append(Counts.of(red_blue_ratio(example.image) >= limit, example.label))
        if args.pictures:
            args.pictures.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.round(chance * 255).astype(np.uint8)).save(args.pictures / f"{example.name}.png")
    print(f"{len(training)} trained on, {len(held_out)} held out, red/blue limit {limit:.3f}", flush=True)
    return counts


def summarize(folds: list[dict[str, list[Counts]]]) -> dict[str, dict[str, object]]:
    """Return each method's figures over all pictures, and their spread across the folds."""
    summary: dict[str, dict[str, object]] = {}
    for method in folds[0]:
        each = [asdict(Figures.of(fold[method])) for fold in folds]
        summary[method] = {
            "all": asdict(Figures.of([count for fold in folds for count in fold[method]])),
            "folds": each,
            "spread": {name: float(np.std([fold[name] for fold in each], ddof=1)) for name in each[0]},
        }
    return summary


def table(folds: list[dict[str, list[Counts]]]) -> str:
    """Format the figures as a table, with one row per fold and one for all pictures."""
    lines = [f"{'method':10}{'fold':>6}{'pooled IoU':>12}{'mean IoU':>10}{'accuracy':>10}"]
    for method in folds[0]:
        rows = [(str(number), fold[method]) for number, fold in enumerate(folds, start=1)]
        rows.append(("all", [count for fold in folds for count in fold[method]]))
        for name, counts in rows:
            figures = Figures.of(counts)
            lines.append(
                f"{method:10}{name:>6}{figures.pooled_iou:12.4f}{figures.mean_iou:10.4f}{figures.accuracy:10.4f}"
            )
    return "\n".join(lines)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with images/ and masks/")
    parser.add_argument("--folds", type=int, default=5, help="blocks, 2 or more (default 5)")
    parser.add_argument("--json", type=Path, help="file to write the figures to, including those of each photograph")
    parser.add_argument("--pictures", type=Path, help="folder for the probability map of each held-out photograph")
    parser.add_argument("--workers", type=int, default=2, help="folds at once, each with --threads (default 2)")
    add_recipe(parser)
    args = parser.parse_args()
    names = [example.name for example in read_folder(args.data)]
    parts = blocks(len(names), args.folds)
    with ProcessPoolExecutor(args.workers, get_context("spawn")) as pool:
        folds = list(pool.map(partial(evaluate_fold, args), parts))
    print(table(folds))
    if args.json:
        each = [count.iou for fold in folds for count in fold["network"]]
        summary = {"methods": summarize(folds), "photographs": dict(zip(names, each, strict=True))}
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(summary, indent=2) + "\n")


if __name__ == "__main__":
    main()

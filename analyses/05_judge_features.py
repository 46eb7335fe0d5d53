"""Look at features and have them judged: two ways of choosing latents against latents drawn at random.
Run: python analyses/05_judge_features.py [SET] [--quick]; results go to results/ of the working directory, nothing is sent."""
import re
import sys

import cogneuro_sae as cn
from cogneuro_sae.concept_map import MapConfig, map_concept
from cogneuro_sae.judge import JudgeConfig, first_line, read_judge_table
from cogneuro_sae.search import SearchConfig, read_search

quick = "--quick" in sys.argv
name = next((word for word in sys.argv[1:] if not word.startswith("-")), "achievement")
k, per_bin = (2, 1) if quick else (12, 2)
CHOSEN, CONTROLS = ("paired_t", "rsa_discriminative"), ("random", "rate_matched")

# 1. Choose: two maps of one concept over all latents; of each the strongest that the concept drives up.
mapped = map_concept(MapConfig(name=f"judge_{name}", stimuli=name, scores=["paired_t"], rsa=["discriminative"],
                               permutations=99 if quick else 1000, top=3 * k))
found = read_search(cn.search_corpus(SearchConfig(
    name=f"judge_{name}", source=str(mapped), arms=CHOSEN, most=k, controls=dict.fromkeys(CONTROLS, k),
    tokens=20_000 if quick else None)))
print(f"{name}: {len(found.features)} latents, {len(found.windows)} windows of the sample corpus")
for arm in (*CHOSEN, *CONTROLS):
    print(f"  {arm:<19}", ", ".join(row["feature"] for row in found.features if arm in row["arms"]))

# 2. Look before anybody judges: the first latent of each way of choosing.
for arm in CHOSEN:
    row = next(row for row in found.features if arm in row["arms"])
    print(f"\n{cn.feature_card(found, row['feature']).to_text(most=1)}")

# 3. Judge: blind, controls mixed in; texts of the stimulus set, whose answer is known, calibrate the raters.
RATERS = [{"provider": "lexical"}, {"provider": "huggingface", "model": "default", "cut_prompt": True}]
PLANNED = {"t_vs_random": "paired_t - random", "rsa_vs_random": "rsa_discriminative - random",
           "rsa_vs_t": "rsa_discriminative - paired_t"}
settings = {"name": f"judge_{name}", "search": str(found.folder), "stimuli": name, "per_bin": per_bin, "planned": PLANNED,
            "known": 10 if quick else 40}
folder = cn.judge_features(JudgeConfig(**settings, raters=RATERS, budget=0))
gates, arms = (read_judge_table(folder / f"{table}.csv") for table in ("gates", "arms"))
print(f"\nMay the judge be believed? This line stands before every result:\n{first_line(gates)}")
print("\nScore from 0 to 3: mean over latents, of known texts mean over texts [95 % interval]")
for rater in ("lexical", "huggingface:default"):
    print(f"  {rater}{' (word counts: a baseline)' if rater == 'lexical' else ''}")
    mine = arms[(arms["rater"] == rater) & (arms["rubric"] == "target")].set_index("name")
    known = gates[gates["rater"] == rater].set_index("gate")
    for arm in (*CHOSEN, *CONTROLS):
        print(f"    {arm:<32} {mine.estimate[arm]:5.2f} [{mine.low[arm]:5.2f}, {mine.high[arm]:5.2f}]")
    for kind in ("control: known_positive", "control: known_negative"):
        print(f"    {kind[9:]:<32} {known.value[kind]:5.2f} [{known.low[kind]:5.2f}, {known.high[kind]:5.2f}]")
    for test in PLANNED:
        p = f"Holm p {mine.p_adjusted[test]:.2f}" if mine.p_adjusted[test] <= 1 else "no test: scores that do not vary"
        print(f"    {PLANNED[test]:<32} {mine.estimate[test]:+5.2f} [{mine.low[test]:+.2f}, {mine.high[test]:+.2f}], {p}")

# 4. What the same would cost by API: counted from the requests and the price table, nothing sent, no key needed.
PAID = [{"provider": provider, "batch": batch, "as": f"{provider}{' in a batch' if batch else ''}"}
        for provider in ("openai", "anthropic") for batch in (False, True)]
print("\nThe same by API, estimated:")
counted = []
cn.judge_features(JudgeConfig(**settings, raters=PAID), dry_run=True, progress=counted.append)
print(*(f"  {line}" for line in counted if re.search(r"\d calls", line)), sep="\n")

print(f"""
What the scores are worth: huggingface:default is the shipped model of 5 million parameters. It cannot follow such a question,
and it is the model under study. Its gates say so, and then none of its numbers is evidence for or against a way of choosing.
Word counts see words, not concepts. With a judge that passes its gates the way is the same: name it under `raters`, see the
estimate before, read the gates before the means.
Report: {cn.build_report(folder)}
Cards:  {cn.build_gallery(found.folder, out=folder / 'gallery.html', judge=folder)}""")

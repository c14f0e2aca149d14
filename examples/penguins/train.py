"""Tells penguin species apart by bill, flipper and weight; writes metrics.json and plot.png."""
import json
import pathlib

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from palmerpenguins import load_penguins
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import train_test_split

HERE = pathlib.Path(__file__).parent
FEATURES = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]

penguins = load_penguins().dropna(subset=FEATURES)
train, test = train_test_split(penguins, test_size=0.3, random_state=0, stratify=penguins.species)
model = RandomForestClassifier(n_estimators=200, random_state=0).fit(train[FEATURES], train.species)
predicted = model.predict(test[FEATURES])

metrics = {
    "penguins": len(penguins),
    "accuracy": round(float(accuracy_score(test.species, predicted)), 4),
    "f1_macro": round(float(f1_score(test.species, predicted, average="macro")), 4),
    "importance": {f: round(float(i), 3) for f, i in zip(FEATURES, model.feature_importances_)},
}
(HERE / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")

figure, axes = plt.subplots(figsize=(7, 5))
for species, group in penguins.groupby("species"):
    axes.scatter(group.bill_length_mm, group.flipper_length_mm, label=species, alpha=0.7)
axes.set_xlabel("bill length (mm)")
axes.set_ylabel("flipper length (mm)")
axes.set_title(f"Palmer penguins, accuracy {metrics['accuracy']:.1%}")
axes.legend()
figure.savefig(HERE / "plot.png", dpi=120)
print(json.dumps(metrics))

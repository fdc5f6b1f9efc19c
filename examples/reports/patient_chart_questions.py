"""Write the gold questions of the medical sample, computing every evidence offset from a quoted passage.

Run from the root of the repository:

    python examples/reports/patient_chart_questions.py

The table below holds each question with its answer and the quotes that support it. A quote must occur exactly
once in the chart unless its occurrence (counted from one) is given, so an edit to the chart that moves or breaks a
quote stops the script instead of producing a wrong offset.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import NamedTuple

DOC_ID = "patient_chart"
SAMPLES = Path(__file__).resolve().parents[2] / "hierarchy" / "samples"
CHART_PATH = SAMPLES / f"{DOC_ID}.md"
QUESTIONS_PATH = SAMPLES / f"{DOC_ID}.questions.jsonl"
KINDS = frozenset({"lookup", "table", "trend", "contradiction", "reasoning", "unanswerable"})


class Quote(NamedTuple):
    """A passage copied from the chart; `occurrence` picks one of several identical passages, counted from one."""

    text: str
    occurrence: int | None = None


class Question(NamedTuple):
    """A gold question: each inner list of `groups` is one set of passages that together suffice to answer it."""

    id: str
    kind: str
    question: str
    answer: str | None
    groups: list[list[str | Quote]]


class QuoteError(ValueError):
    """A quote is missing from the chart, or found more often than its entry allows for."""


OUTPATIENT_HEADER = (
    "| Test | Unit | Reference | Mar 2019 | Sep 2019 | Jul 2020 | Mar 2021 | Sep 2021 | Feb 2022 | Aug 2022 "
    "| Mar 2023 | Oct 2023 | Apr 2024 |"
)
BLEED_HEADER = (
    "| Test | Unit | Reference | 15 Jun 2021 | 16 Jun 2021 | 17 Jun 2021 | 19 Jun 2021 | 21 Jun 2021 | 23 Jun 2021 |"
)

QUESTIONS: list[Question] = [
    # Lookups
    Question(
        "pc-01",
        "lookup",
        "What did he weigh when he went home after the first admission?",
        "89.9 kg",
        [
            [
                "Discharge weight 89.9 kg.",
            ],
            [
                "Weight 89.9 kg: this is to be his provisional dry weight.",
            ],
            [
                "| 10 Feb 06:00 | 78 | 116/72 | 16 | 96 | Air | 36.6 | 89.9 | −640 |",
            ],
        ],
    ),
    Question(
        "pc-02",
        "lookup",
        "What were the cardiac output and cardiac index at the 2019 catheterisation?",
        "Cardiac output 4.4 L/min and cardiac index 2.1 L/min/m², by thermodilution",
        [
            [
                "Cardiac output by thermodilution 4.4 L/min, cardiac index 2.1 L/min/m².",
            ],
        ],
    ),
    Question(
        "pc-03",
        "lookup",
        "Who may take health decisions on his behalf if he loses the ability to do so himself?",
        "His children Rhys and Philippa, jointly and severally (power of attorney for health registered 14 August "
        "2023)",
        [
            [
                (
                    "Lasting power of attorney for health registered in favour of Rhys and Philippa, jointly and "
                    "severally, on 14 August 2023."
                ),
            ],
        ],
    ),
    Question(
        "pc-04",
        "lookup",
        "How long was the single lung ventilated during the chest operation?",
        "47 minutes",
        [
            [
                "One-lung ventilation 47 minutes, tidal volume 380 mL, PEEP 5.",
            ],
        ],
    ),
    # Table rows
    Question(
        "pc-05",
        "table",
        "To what value did his kidney function (filtration rate) sink during the stay for the bleed, and on which day?",
        "eGFR 21 mL/min/1.73 m², on 17 June 2021",
        [
            [
                BLEED_HEADER,
                "| eGFR | mL/min/1.73 m² | > 60 | 26 L | 22 L | 21 L | 27 L | 33 L | 35 L |",
            ],
        ],
    ),
    Question(
        "pc-06",
        "table",
        "What was the eosinophil count when he came to the emergency department with the rash?",
        "2.9 × 10⁹/L on 9 October 2020 (reference 0.0–0.5)",
        [
            [
                "| Test | Unit | Reference | 10 Sep 2020 | 9 Oct 2020 | 11 Oct 2020 | 26 Oct 2020 |",
                "| Eosinophils | 10⁹/L | 0.0–0.5 | 0.3 | 2.9 H | 2.2 H | 0.4 |",
            ],
        ],
    ),
    Question(
        "pc-07",
        "table",
        "Which antibiotics could not have worked against the germ grown from his phlegm after the lung operation?",
        "Amoxicillin and trimethoprim (the Klebsiella pneumoniae was resistant to both)",
        [
            [
                "Klebsiella pneumoniae, heavy growth; no extended-spectrum beta-lactamase.",
                Quote("| Amoxicillin | Resistant | > 32 |", 2),
                Quote("| Trimethoprim | Resistant | > 16 |", 2),
            ],
        ],
    ),
    Question(
        "pc-08",
        "table",
        "For how many minutes was radiofrequency energy applied in the ablation of November 2021?",
        "31 minutes",
        [
            [
                "| Total radiofrequency time | 31 min |",
            ],
        ],
    ),
    Question(
        "pc-09",
        "table",
        "How much of the predicted gas transfer was left before lung surgery, according to the laboratory tests of "
        "2022?",
        "48 % of predicted (TLCO 4.0 mmol/min/kPa against 8.3)",
        [
            [
                "| TLCO (mmol/min/kPa) | 4.0 | 8.3 | 48 |",
            ],
            [
                "Surgery is reasonable, but a lobectomy is not, with gas transfer at 48 % and this heart.",
            ],
        ],
    ),
    Question(
        "pc-10",
        "table",
        "What was the magnesium on the day atrial fibrillation came back after the lung operation?",
        "0.68 mmol/L (low), on 22 September 2022",
        [
            [
                "| Test | Unit | Reference | 21 Sep 2022 | 22 Sep 2022 | 23 Sep 2022 | 25 Sep 2022 | 27 Sep 2022 |",
                "| Magnesium | mmol/L | 0.70–1.00 | 0.74 | 0.68 L | 0.86 | 0.83 | – |",
                "Atrial fibrillation at 128 since 04:40, pressure 108/64, not troubled by it.",
            ],
            [
                (
                    "Atrial fibrillation at 128 since 04:40, pressure 108/64, not troubled by it. Potassium 4.1, "
                    "magnesium 0.68: replaced."
                ),
            ],
        ],
    ),
    # Trends
    Question(
        "pc-11",
        "trend",
        "How has his kidney function changed between 2019 and 2024?",
        "It has fallen steadily: eGFR 55 in March 2019 to 26 mL/min/1.73 m² in April 2024 (creatinine 118 to 209 "
        "µmol/L)",
        [
            [
                OUTPATIENT_HEADER,
                (
                    "| eGFR (CKD-EPI 2009) | mL/min/1.73 m² | > 60 | 55 L | 53 L | 45 L | 43 L | 38 L | 37 L | 36 L | "
                    "32 L | 29 L | 26 L |"
                ),
            ],
            [
                OUTPATIENT_HEADER,
                (
                    "| Creatinine | µmol/L | 59–104 | 118 H | 121 H | 137 H | 142 H | 158 H | 161 H | 164 H | 179 H | "
                    "196 H | 209 H |"
                ),
            ],
        ],
    ),
    Question(
        "pc-12",
        "trend",
        "How did the volume of the spot on his lung develop from its discovery to February 2022?",
        "148 mm³ (February 2020), 152 (August 2020), 231 (March 2021), 402 (February 2022): slow, genuine growth",
        [
            [
                "| 3 Feb 2020 | 7 | 148 | Left (wrong) | Addendum 12 Feb 2020 |",
                "| 24 Aug 2020 | 7 × 6 | 152 | Right | Six months |",
                "| 2 Mar 2021 | 9 × 7 | 231 | Right | Twelve months |",
                "| 22 Feb 2022 | 11 × 9 | 402 | Right | PET and surgeon |",
            ],
            [
                (
                    "measures 7 × 6 mm, volume 152 mm³ (148 mm³ on the earlier study when segmented with the same "
                    "software)."
                ),
                "solid nodule now 9 × 7 mm with a volume of 231 mm³, previously 152.",
                (
                    "Right upper lobe posterior segment nodule 11 × 9 mm, 402 mm³ (231 in March 2021); doubling time "
                    "447 days."
                ),
            ],
        ],
    ),
    Question(
        "pc-13",
        "trend",
        "What happened to NT-proBNP between the summer before the ablation and the spring after it?",
        "It roughly halved: 2,050 ng/L on 22 July 2021 (in AF) to 980 ng/L on 8 March 2022 (in sinus rhythm)",
        [
            [
                "| 22 Jul 2021 | 2,050 | Clinic | AF |",
                "| 8 Mar 2022 | 980 | Clinic | Sinus |",
            ],
            [
                "NT-proBNP 2,050 ng/L.",
                "NT-proBNP same day 980 ng/L.",
            ],
        ],
    ),
    Question(
        "pc-14",
        "trend",
        "How did the thyroid test behave while he took amiodarone and after it was stopped?",
        "TSH rose from 2.9 mU/L (July 2020) to 9.8 (February 2022, when it was stopped) and was normal, 4.1, by "
        "August 2022",
        [
            [
                OUTPATIENT_HEADER,
                "| TSH | mU/L | 0.4–4.5 | 2.3 | – | 2.9 | 6.9 H | 7.4 H | 9.8 H | 4.1 | 3.6 | 3.4 | 3.1 |",
                "**Amiodarone stopped today**, three months having passed; last tablet this morning.",
            ],
        ],
    ),
    # Contradictions
    Question(
        "pc-15",
        "contradiction",
        "The front sheet warns of penicillin anaphylaxis. Is he really allergic to penicillin?",
        "No. The label goes back to an unsourced GP summary of 2003; skin tests and an oral amoxicillin challenge on "
        "29 March 2022 were negative and the label was to be removed. The front sheet was never updated.",
        [
            [
                "| Penicillin | Anaphylaxis | GP summary on transfer of records | 2003 |",
                (
                    "Skin prick and intradermal tests to benzylpenicillin, amoxicillin and the determinant mixtures "
                    "negative. Graded oral challenge: amoxicillin 50 mg, then 500 mg; watched for two hours; no "
                    "reaction."
                ),
                (
                    "**Conclusion: not allergic to penicillin. The label of anaphylaxis should be removed from all "
                    "systems.**"
                ),
            ],
        ],
    ),
    Question(
        "pc-16",
        "contradiction",
        "With what dose of the new blood thinner was he meant to leave hospital in June 2021, given that the papers "
        "disagree?",
        "Apixaban 5 mg twice daily, as the pharmacist reconciled (only one reduction criterion met). The discharge "
        "letter's 2.5 mg was the mistake.",
        [
            [
                (
                    "| Apixaban | – | 5 mg twice daily from 22 June | Age 70 and weight 85.7 kg; only creatinine meets "
                    "a reduction criterion, so full dose |"
                ),
                "Anticoagulation changed to apixaban 2.5 mg twice daily from 22 June.",
            ],
            [
                (
                    "He left hospital with 2.5 mg twice daily because the letter was written the evening before the "
                    "pharmacist finished. Ms Sillery's reconciliation gave 5 mg twice daily and she was right:"
                ),
            ],
        ],
    ),
    Question(
        "pc-17",
        "contradiction",
        "In which lung was the nodule found in February 2020?",
        "The right (posterior segment of the right upper lobe). The first report and the discharge letter said left; "
        "the consultant radiologist's addendum of 12 February 2020 corrected the side.",
        [
            [
                "There is a solid, smooth nodule of 7 mm in the apicoposterior segment of the left upper lobe.",
                (
                    "On review for the thoracic meeting the 7 mm nodule lies in the posterior segment of the RIGHT "
                    "upper lobe (series 4, image 61)."
                ),
            ],
            [
                "It is the right lung and always has been; please tear up the 2020 letter that says left.",
            ],
        ],
    ),
    Question(
        "pc-18",
        "contradiction",
        "How well was the heart pumping in June 2020?",
        "Ejection fraction 40–45 % by echocardiography (9 June) but 35 % by magnetic resonance (18 June); the "
        "cardiologist leaned towards the magnetic resonance figure for prognosis.",
        [
            [
                "Ejection fraction by biplane Simpson averaged over five beats 40–45 %.",
                "| LV ejection fraction | 35 % | 55–79 % |",
                (
                    "Magnetic resonance measures volumes without geometric assumption, so I lean towards its figure "
                    "for prognosis;"
                ),
            ],
            [
                (
                    "We are nine days apart and ten percentage points adrift: 40–45 % on the ultrasound of 9 June, 35 "
                    "% on the magnet of 18 June. Magnetic resonance measures volumes without geometric assumption, so "
                    "I lean towards its figure for prognosis;"
                ),
            ],
        ],
    ),
    Question(
        "pc-19",
        "contradiction",
        "Was he taking amiodarone when he came in for lung surgery?",
        "No. It was stopped on 14 February 2022; the pre-assessment list of 30 August still carried 200 mg daily from "
        "a summary that had not been updated, and the ward pharmacist crossed it through.",
        [
            [
                "**Amiodarone stopped today**, three months having passed; last tablet this morning.",
                "| Amiodarone | 200 mg daily | Take on the day |",
            ],
            [
                "| Amiodarone | 200 mg daily | Take on the day |",
                (
                    "patient states that he has had no amiodarone since Valentine's Day and produces an empty repeat "
                    "slip to prove it. Crossed through on the drug chart; the summary used in pre-assessment had not "
                    "been updated."
                ),
            ],
        ],
    ),
    Question(
        "pc-20",
        "contradiction",
        "How heavy was he on arrival at the hospital in Ohio, in kilograms?",
        "84.8 kg (187 lb). The triage sheet wrongly gave the number as 187 kg.",
        [
            [
                "**Weight: 187 kg.**",
                (
                    "Weight 187 lb (84.8 kg) on standing scale, repeated by me because the triage sheet reads in "
                    "kilograms and he plainly does not weigh that."
                ),
            ],
        ],
    ),
    Question(
        "pc-21",
        "contradiction",
        "Had he taken anti-inflammatory painkillers before the bleeding ulcer?",
        "Yes. He denied it on admission, but told the pharmacist that he took naproxen 250 mg two or three times a "
        "day for about ten days.",
        [
            [
                (
                    "asked directly, he denies any aspirin, ibuprofen, naproxen or other anti-inflammatory since 2019; "
                    "paracetamol only."
                ),
                (
                    "On gentle repetition the patient tells me that he took naproxen 250 mg, two or three a day, for "
                    "about ten days before the bleed, from an old strip kept in the shed, as his knees were bad while "
                    "kneeling at the raised beds."
                ),
            ],
        ],
    ),
    Question(
        "pc-22",
        "contradiction",
        "What type of lung tumour did he turn out to have?",
        "A typical carcinoid, 13 mm, pT1b pN0, completely excised. The frozen section had favoured adenocarcinoma and "
        "was revised.",
        [
            [
                "Favour adenocarcinoma, well differentiated.",
                (
                    "**Diagnosis: typical carcinoid tumour, 13 mm, completely excised, pT1b pN0. REVISED from the "
                    "frozen section impression of adenocarcinoma.**"
                ),
            ],
            [
                "a typical carcinoid, of low grade, fully removed, and not the adenocarcinoma first mentioned.",
            ],
        ],
    ),
    Question(
        "pc-23",
        "contradiction",
        "Several totals of his tobacco use are recorded. Which one rests on a careful history, and when did he stop?",
        "35 pack-years, stopped in 1998 (respiratory clinic, 24 August 2020). The referral letter's 20 is too low, "
        "and 45 with a quit date of 2010 in the February 2020 admission note is mistaken.",
        [
            [
                (
                    "He began at sixteen in 1967: ten a day until twenty-one (2.5 pack-years), then twenty-five a day "
                    "until he stopped at forty-seven in 1998 (32.5). That makes 35 pack-years. The figure of 45 in the "
                    "February admission note and its quit date of 2010 are mistaken; 20 in the referral letter is an "
                    "underestimate."
                ),
            ],
        ],
    ),
    Question(
        "pc-24",
        "contradiction",
        "Should the team start chest compressions if his heart stops?",
        "No. On 5 September 2023 he declined cardiopulmonary resuscitation and a form was signed; the front sheet's "
        "full escalation entry dates from June 2021 and was replaced by it.",
        [
            [
                (
                    "For full escalation including cardiopulmonary resuscitation. Entered 15 June 2021 by the "
                    "admitting team."
                ),
                "If his heart stops he does not want cardiopulmonary resuscitation. Form signed today,",
                'This replaces the "full escalation" entry of June 2021.',
            ],
        ],
    ),
    Question(
        "pc-25",
        "contradiction",
        "On what date was the ulcer treated through the endoscope?",
        "16 June 2021. The discharge letter's 26 June is a typing error, corrected by the addendum of 1 July 2021.",
        [
            [
                (
                    "Gastroscopy on 26 June 2021 showed a posterior duodenal ulcer with visible vessel, treated with "
                    "adrenaline and two clips."
                ),
                (
                    "The gastroscopy took place on 16 June 2021; the date of the 26th, three days after he went home, "
                    "is a typing error."
                ),
            ],
        ],
    ),
    Question(
        "pc-26",
        "contradiction",
        "Was he still needing oxygen on the morning of 7 February 2020?",
        "No, he was on room air. The 07:55 note claiming 2 L was copied forward from the day before; the nurses had "
        "stopped oxygen at 22:40 the previous evening.",
        [
            [
                Quote("Comfortable on 2 L oxygen by nasal cannula, saturation 95 %.", 2),
                (
                    "Disregard the exam text above, which repeats yesterday's; I have spoken to the author. Today he "
                    "is on air, saturation 94 %,"
                ),
            ],
            [
                Quote("Comfortable on 2 L oxygen by nasal cannula, saturation 95 %.", 2),
                "Oxygen discontinued at 22:40 last evening; saturations 93 to 95 % on air all night.",
            ],
            [
                Quote("Comfortable on 2 L oxygen by nasal cannula, saturation 95 %.", 2),
                "| 7 Feb 06:00 | 92 | 112/68 | 18 | 94 | Air | 36.5 | 92.5 | −1,420 |",
            ],
        ],
    ),
    Question(
        "pc-27",
        "contradiction",
        "Did he have a Staphylococcus aureus bloodstream infection in June 2021?",
        "No. The preliminary report could not exclude it; the final one was Staphylococcus epidermidis in one bottle "
        "of four, a probable skin contaminant.",
        [
            [
                "Staphylococcus aureus not excluded; treat as significant until identified.",
                (
                    "Staphylococcus epidermidis, one bottle of four. No S. aureus by mass spectrometry or coagulase. "
                    "Probable skin contaminant; no treatment recommended."
                ),
            ],
        ],
    ),
    Question(
        "pc-28",
        "contradiction",
        "What daily dose of his beta-blocker does he actually take after the lung operation, 7.5 or 10 mg?",
        "Bisoprolol 7.5 mg. The surgical letter said 10 mg, but the extra 2.5 mg was given for two days only and 10 "
        "mg was never dispensed.",
        [
            [
                "bisoprolol 10 mg daily (was 7.5)",
                (
                    "He takes 7.5 mg, cutting nothing. The September 2022 surgical letter said 10 mg, but the ward "
                    "chart shows the extra 2.5 mg was given for two days only, and the community pharmacy has never "
                    "dispensed 10 mg."
                ),
            ],
            [
                "| Bisoprolol | 7.5 mg morning | 2022 letter said 10 mg |",
            ],
        ],
    ),
    Question(
        "pc-29",
        "contradiction",
        "Was the stomach infected with Helicobacter in 2021, and why do two tests disagree?",
        "Yes. Body biopsies showed Helicobacter pylori; the rapid urease test was a false negative, bleeding and acid "
        "suppression making it unreliable.",
        [
            [
                (
                    "Antral tissue to rapid urease (CLO) test: negative at 24 hours. Two antral and two body biopsies "
                    "in formalin, as bleeding and acid suppression make the urease test unreliable."
                ),
                (
                    "Histology is back and shows Helicobacter in the body biopsies, so the negative urease test was a "
                    "false negative."
                ),
            ],
            [
                (
                    "Two antral and two body biopsies in formalin, as bleeding and acid suppression make the urease "
                    "test unreliable."
                ),
                "curved bacilli on Giemsa and on immunostaining, typical of Helicobacter pylori.",
            ],
        ],
    ),
    Question(
        "pc-30",
        "contradiction",
        "Which wrist did he hurt and have X-rayed in February 2024?",
        "The left. The radiograph was reported as the right wrist and corrected by an addendum on 9 February 2024.",
        [
            [
                "Struck the left temple and the left wrist.",
                "Right wrist, two views: no fracture.",
                "The body part examined is the LEFT wrist.",
            ],
        ],
    ),
    Question(
        "pc-31",
        "contradiction",
        "Whom should the ward telephone first about him today, and why not the person on the front sheet?",
        "His son Rhys. The front sheet still names his wife Maud, who died on 19 January 2022.",
        [
            [
                "| Next of kin | Mrs Maud Garrowby (wife), same address |",
                "Maud died at St Audrey's Hospice on 19 January of ovarian cancer.",
                "I have re-sent the change form: Rhys to be first contact.",
            ],
        ],
    ),
    # Reasoning over several entries
    Question(
        "pc-32",
        "reasoning",
        "Why did his blood thinner become so strong that he bled in June 2021?",
        "Clarithromycin, prescribed out of hours on 8 June because of the penicillin label, was added to warfarin and "
        "amiodarone; the interaction drove the INR to 7.4.",
        [
            [
                (
                    "Known penicillin anaphylaxis on the shared summary, so clarithromycin 500 mg twice daily for "
                    "seven days."
                ),
                "First laboratory INR 7.4.",
                "Clarithromycin added to warfarin and amiodarone: an interaction waiting to happen.",
            ],
            [
                (
                    "this man was admitted on 15 June with haematemesis and melaena on warfarin, INR 7.4 after "
                    "clarithromycin."
                ),
                "Clarithromycin added to warfarin and amiodarone: an interaction waiting to happen.",
            ],
        ],
    ),
    Question(
        "pc-33",
        "reasoning",
        "Why was he turned down for the drug study, and what lay behind that result?",
        "Potassium 5.4 mmol/L against a limit of 5.0. He was taking spironolactone again: stopped in June 2021, it "
        "had survived on an old list, was copied in Ohio and added to his repeat prescription in June 2023.",
        [
            [
                "| Potassium | ≤ 5.0 mmol/L | 5.4 | **No** |",
                "Repeat template brought into line: spironolactone 25 mg daily added.",
                (
                    "The buff tablet is spironolactone 25 mg, taken daily since mid-June. Chain: stopped here in June "
                    "2021 → survived on a clinic list of March 2021 in his passport → copied in Ohio → added to the "
                    "repeat by the surgery."
                ),
            ],
        ],
    ),
    Question(
        "pc-34",
        "reasoning",
        "The long-term sugar test of September 2021 was called excellent. Why did the specialists not trust it?",
        "Three units of donor red cells in June and brisk new red cell production on iron lower HbA1c (49 mmol/mol); "
        "meter average 10.9 mmol/L and fructosamine 341 µmol/L pointed to about 64.",
        [
            [
                'HbA1c has come back as 49 mmol/mol and the laboratory comment reads "excellent control".',
                (
                    "Three units of donor cells in June and brisk new red cell production on iron both pull the figure "
                    "down; his meter averages 10.9 mmol/L over thirty days and fructosamine is 341 µmol/L (205–285). "
                    "The true equivalent is nearer 64."
                ),
            ],
        ],
    ),
    Question(
        "pc-35",
        "reasoning",
        "Was the creatinine of 2.1 in Ohio a real worsening compared with his last kidney clinic at home?",
        "Hardly: 2.1 mg/dL is about 186 µmol/L (× 88.4), against 179 µmol/L on 7 March 2023, a rise of about 4 %.",
        [
            [
                "| Creatinine | 2.1 H | mg/dL | 0.7–1.3 |",
                "Creatinine 179 µmol/L, eGFR 32, potassium 4.8, bicarbonate 22 mmol/L, haemoglobin 114,",
            ],
        ],
    ),
    Question(
        "pc-36",
        "reasoning",
        "What made the fall in the yard in February 2024 more likely, and which medicine was taken away afterwards?",
        "Low blood sugar (2.9 mmol/L) after he raised his glargine to 12 units himself and took gliclazide without "
        "supper, the sensor alarm unheard without hearing aids; gliclazide was stopped.",
        [
            [
                (
                    "The ambulance crew found capillary glucose 2.9 mmol/L; sensor had alarmed but his hearing aids "
                    "were in the drawer."
                ),
                "He had gone up to 12 units of glargine on his own account and had taken gliclazide without supper.",
                "Gliclazide stopped. Glargine back to 8 units and moved to the morning.",
            ],
        ],
    ),
    # Questions that the chart leaves open
    Question(
        "pc-37",
        "unanswerable",
        "What did the human herpesvirus 6 serology sent by dermatology in October 2020 show?",
        None,
        [],
    ),
    Question(
        "pc-38",
        "unanswerable",
        "What is the patient's own ABO and rhesus blood group?",
        None,
        [],
    ),
    Question(
        "pc-39",
        "unanswerable",
        "What apnoea index did his sleep study find?",
        None,
        [],
    ),
]


def locate(chart: str, quote: str | Quote) -> tuple[int, int]:
    """Return the half-open character offsets of `quote` in `chart`, or raise QuoteError."""
    text, occurrence = (quote.text, quote.occurrence) if isinstance(quote, Quote) else (quote, None)
    starts: list[int] = []
    at = chart.find(text)
    while at >= 0:
        starts.append(at)
        at = chart.find(text, at + 1)
    if occurrence is None:
        if len(starts) != 1:
            raise QuoteError(f"expected one occurrence, found {len(starts)}: {text!r}")
        start = starts[0]
    else:
        if not 1 <= occurrence <= len(starts):
            raise QuoteError(f"occurrence {occurrence} asked for, found {len(starts)}: {text!r}")
        start = starts[occurrence - 1]
    return start, start + len(text)


def record(chart: str, question: Question) -> dict[str, object]:
    """Return the JSON object of one question, its evidence located in `chart`."""
    if question.kind not in KINDS:
        raise ValueError(f"{question.id}: unknown kind {question.kind!r}")
    if (question.kind == "unanswerable") != (question.answer is None) or bool(question.groups) != bool(question.answer):
        raise ValueError(f"{question.id}: an answer needs evidence, and an unanswerable question has neither")
    evidence: list[dict[str, object]] = []
    for group, quotes in enumerate(question.groups):
        for quote in quotes:
            start, end = locate(chart, quote)
            evidence.append({"start": start, "end": end, "text": chart[start:end], "group": group})
    return {
        "id": question.id,
        "doc_id": DOC_ID,
        "question": question.question,
        "answer": question.answer,
        "evidence": evidence,
        "split": "dev",
        "kind": question.kind,
    }


def render(chart: str, questions: list[Question]) -> str:
    """Return the questions as JSON lines; identifiers must be unique."""
    ids = [question.id for question in questions]
    if len(set(ids)) != len(ids):
        raise ValueError("question identifiers are not unique")
    return "".join(json.dumps(record(chart, question), ensure_ascii=False) + "\n" for question in questions)


def main() -> None:
    """Write the questions file beside the chart, or to the path given."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, default=QUESTIONS_PATH, help="where to write the JSON lines")
    arguments = parser.parse_args()
    chart = CHART_PATH.read_bytes().decode("utf-8")
    arguments.out.write_bytes(render(chart, QUESTIONS).encode("utf-8"))
    print(f"{len(QUESTIONS)} questions written")


if __name__ == "__main__":
    main()

"""Trust in numbers: what stands in the evidence or follows from it passes, and what was invented or slipped doesn't."""

from __future__ import annotations

import datetime as dt
import time

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hierarchy.numbers import NumberCheck, Shown, check_numbers, unsupported_note

LETTERS = {"F": "found", "C": "computed", "A": "asked", "U": "unsupported"}

LEDGER = Shown(
    text=(
        "Revenue 32,765 31,657\nCost of sales (20,188) (19,905)\nOperating income 7,207 5,938\n"
        "Net loss from discontinued operations (214) (198)\nPurchases of equipment (1,577) (1,420)\n"
        "Increase in inventories (509) (355)\nDividends per share 5.44 4.70\nGross margin 38.4 % 37.1 %"
    ),
    context="Years ended December 31, / 2025 2024 · in millions, except per share",
    heading="Item 8. Financial statements › Note 12. Segments",
    defaults="Unless stated otherwise: tables in $ millions; fiscal year ended December 31, 2025.",
)
LETTER = Shown(
    text=(
        "Sales grew 3.5 percent to $4.9 billion in the second quarter. We bought back 2.5 million shares for "
        "€1,250,000 "
        "and paid CHF 12'500. The tax rate was 0.215 and the spread widened by 125 basis points. On 3 May "
        "2024 the board "
        "approved a plan for twenty-one stores over 12 months; two-thirds of them are leased. Net leverage was 1.2x. "
        "FY18 included a loss of 87 million. The covenant is 3:1, and 40,000 employees work at 7 sites."
    )
)
METRES = Shown(text="Umsatz 1.577,5 und 2.310,75 Tsd. EUR; Quote 12,5 %.\nMarge 1.842")
THOUSANDS = Shown(
    text="Trade receivables 672,006 591,800\nInventories nil 12\nWarranty 45", context="(in thousands of EUR)"
)
FALLS = Shown(text="There was an interaction of fall risk (F2,125 = 3.12, n = 75, p = 0.044).")
CHART = Shown(
    text=(
        "Mrs K., aged 67, E11.9 and I10, takes aspirin 75 mg daily and levothyroxine 0.05 mg. HbA1c 7.2 % "
        "(55 mmol/mol), "
        "haemoglobin 135 g/L, potassium 4.1 mmol/L, blood pressure 142/86 mmHg, eGFR 58 mL/min. Weight fell "
        "by 3.5 kg in "
        "six weeks. Infusion 500 mL over 4 hours. Troponin .03 µg/L. Seen on 2024-03-09; next visit in 1 year. "
        "Pain score 2/10. COVID-19 vaccine given. Leukocytes 8.2 x10^9/L. Stage IIIb."
    ),
    heading="Discharge letter",
)
TRIAL = Shown(
    text=(
        "Of 412 patients, 206 received the drug and 206 placebo. The primary endpoint occurred in 31 (15.0%) "
        "and 52 (25.2%), "
        "hazard ratio 0·57 (95% CI 0·37 to 0·89; p = 0.012). Mean change −2.4 points (SD 1.1). Follow-up 18 "
        "months. Doses "
        "5–7 mg. Median age 61 years."
    )
)
LEASE = Shown(
    text=(
        "4.2 Termination. (a) By notice. (b) Either party may terminate on ninety (90) days' notice.\n"
        "7.1.3 Liability is capped at US$2,000,000. The term ends on 31 December 2029. Interest accrues at "
        "1½ % a month. "
        "Schedule 3 applies. Section 401(k) plans are excluded. Rent: INR 12,34,567 a year."
    ),
    heading="Section 12. Term",
)
BANK = Shown(
    text=(
        "Net interest income | 4,318 | 4,127 | 5%\nProvision for credit losses | (602) | (455) | 32%\nNet "
        "income attributable to shareholders | 1,946 | 2,033 | (4)%\nDiluted earnings per share ($) | 3.12 | "
        "3.20 |\nCommon equity tier 1 ratio | 13.4% | 12.9% |\nFull-time employees | 21,480 | 20,915"
    ),
    heading="Management's discussion › Results",
    context="| C$ millions | 2023 | 2022 | Change |",
    defaults="Unless stated otherwise: tables in $ millions; fiscal year ends October 31.",
)
CALL = Shown(
    text=(
        "In the three months ended June 30, 2023, free cash flow was negative $45.2 million, compared with "
        "$112.9 million a year earlier. We issued €750 million of 3.625% notes due 2031. As of July 28, "
        "2023, 318,402,117 shares were outstanding. Backlog stood at approximately $14 billion, of which "
        "about 60% is expected to be recognized within 24 months. Headcount fell by 1,150 to 17,900. We "
        "operate in five segments and 38 countries. The remaining authorization is $2.0 billion."
    )
)
TRIAL_OF_WEIGHT = Shown(
    text=(
        "Participants (n = 1,204; 48.6% women) were randomised 1:1 to semaglutide 2.4 mg once weekly or "
        "placebo for 68 weeks. Mean body weight changed by −14.9% versus −2.4% (difference −12.4 percentage "
        "points; 95% CI −13.4 to −11.5; P<0.001). Nausea occurred in 44.2% and 17.4%. Seven participants "
        "died, 3 and 4. Baseline LDL was 2.9 mmol/L, creatinine 88 µmol/L. One in five stopped early."
    )
)
LICENCE = Shown(
    text=(
        "1.14 “Territory” means the United States and its possessions. 9.3 Notice. Licensee shall pay a "
        "royalty of three percent (3%) of Net Sales within forty-five (45) days after each calendar quarter. "
        "9.4(c)(ii) Late payments bear interest at the lesser of 1.5% per month. The initial term is ten "
        "(10) years from the Effective Date (January 15, 2016). Minimum annual guarantee: $250,000."
    ),
    heading="ARTICLE IX",
)
ROUGH = Shown(
    text=(
        "Goodwill 483.6\nLease liabilities 497.2\nDeposits 272.4\nWarrants 754.9\nLong-term debt 1,421.8\n"
        "Deferred revenue 1,946.1\nCash 8,731.0\nInventories 5.9\nThe royalty is $3.40 a unit, the rate 4.2 %."
    ),
    context="| $ in millions | 2025 |",
)
EVERYTHING = (LEDGER, LETTER, METRES, THOUSANDS, CHART, TRIAL, LEASE, BANK, CALL, TRIAL_OF_WEIGHT, FALLS, LICENCE)

# An answer, and what each of its numbers is: found, computed, asked or unsupported.
SCALES = [
    (LEDGER, "Equipment cost $1.6 billion.", "F"),
    (LEDGER, "Equipment cost $1.58 billion.", "F"),
    (LEDGER, "Equipment cost $1.577 billion in 2025.", "FF"),
    (LEDGER, "Equipment cost $1.7 billion.", "U"),
    (LEDGER, "Equipment cost $1.57 billion.", "U"),
    (LEDGER, "Equipment cost 1,577 million.", "F"),
    (LEDGER, "Equipment cost $1,577,000,000.", "F"),
    (LEDGER, "Equipment cost 1,577 billion.", "U"),
    (LEDGER, "Equipment cost 1,577 thousand.", "U"),
    (LEDGER, "Equipment cost $1,577K.", "U"),
    (LEDGER, "Equipment cost $1.6 million.", "U"),
    (LEDGER, "Equipment cost 1,757 million.", "U"),
    (LEDGER, "Equipment cost 1,577.", "F"),
    (LEDGER, "Equipment cost 1577.00 in USD millions.", "F"),
    (LEDGER, "Equipment cost about 1,600 million.", "F"),
    (LEDGER, "Equipment cost 1,600 million.", "U"),
    (LEDGER, "Equipment cost more than $1.5 billion.", "F"),
    (LEDGER, "Equipment cost more than $1.6 billion.", "U"),
    (LEDGER, "Equipment cost nearly $1.6 billion.", "F"),
    (LEDGER, "Equipment cost between 1.4 and 1.6 billion.", "FF"),
    (LEDGER, "Equipment cost 1,577 and 1,420 million dollars.", "FF"),
    (LEDGER, "Equipment cost €1,577 million.", "U"),
    (LEDGER, "Equipment cost US$1.6bn; EUR 1.6bn is wrong.", "FU"),
    (LEDGER, "Equipment cost **1,577** million and **$1,420 million**.", "FF"),
    (LEDGER, "Revenue was $32.8bn, 32.765 billion to be exact.", "FF"),
    (LEDGER, "Revenue was $32.7bn.", "U"),
    (LEDGER, "The dividend was $5.44, up from $4.70 a share.", "FF"),
    (LEDGER, "The dividend was $5.45.", "U"),
    (LEDGER, "About $2 billion was spent.", "F"),
    (LETTER, "Sales were $4,900 million.", "F"),
    (ROUGH, "Goodwill was $0.5 billion.", "F"),
    (ROUGH, "Leases were $0.5 billion, or 0.5bn, in all.", "FF"),
    (ROUGH, "Deposits were $0.3 billion.", "U"),
    (ROUGH, "Deposits were about $0.3 billion.", "F"),
    (ROUGH, "Deposits were $0.27 billion.", "F"),
    (ROUGH, "Warrants were $0.8 billion.", "U"),
    (ROUGH, "Warrants were roughly 0.8 billion dollars.", "F"),
    (ROUGH, "Debt was $1 billion.", "U"),
    (ROUGH, "Debt was over $1 billion.", "F"),
    (ROUGH, "Debt was $1.4 billion.", "F"),
    (ROUGH, "Deferred revenue was $2 billion.", "F"),
    (ROUGH, "Cash was $9 billion.", "F"),
    (ROUGH, "Cash was $8 billion.", "U"),
    (ROUGH, "Inventories were $6 million.", "F"),
    (ROUGH, "Inventories were $6 billion.", "U"),
    (ROUGH, "The royalty was $3 a unit.", "U"),
    (ROUGH, "The royalty was $3.4 a unit.", "F"),
    (ROUGH, "The rate was 4 %.", "F"),
    (LEDGER, "$2 billion was spent.", "U"),
    (LEDGER, "Operating income was $7 billion, then $6 billion.", "FF"),
    (LEDGER, "Equipment cost $1 billion.", "U"),
    (BANK, "Net income was $2 billion.", "F"),
    (BANK, "Net interest income was $4 billion.", "F"),
    (LETTER, "Sales were $5 billion.", "F"),
    (LETTER, "Sales were 4.9bn.", "F"),
    (LETTER, "Sales were $4.9 million.", "U"),
    (LETTER, "It bought 2,500,000 shares for €1.25 million.", "FF"),
    (LETTER, "It bought them for $1.25 million.", "U"),
    (LETTER, "It paid CHF 12,500.", "F"),
    (LETTER, "It paid 12 500 francs.", "F"),
    (LETTER, "It has 40 thousand employees at seven sites.", "FF"),
    (LETTER, "It has 40 million employees.", "U"),
    (THOUSANDS, "Receivables were €672.0 million.", "F"),
    (THOUSANDS, "Receivables were 672,006 thousand euros, or 672 million.", "FF"),
    (THOUSANDS, "Receivables were 672,006 million euros.", "U"),
    (THOUSANDS, "Receivables were $672 million.", "U"),
    (THOUSANDS, "Inventories were zero, after 12 thousand.", "FF"),
    (METRES, "Turnover was 1,577.5 thousand euros, then 2.31 million euros.", "FF"),
    (METRES, "The share is 12.5 %, the margin 1,842.", "FF"),
    (LEASE, "Liability is capped at USD 2 million.", "F"),
    (LEASE, "Liability is capped at $2 billion.", "U"),
    (LEASE, "The rent is INR 1,234,567, or 12.3 lakh rupees.", "FF"),
    (LEASE, "The rent is INR 12,34,576.", "U"),
]
SHARES = [
    (LEDGER, "The margin was 38.4%.", "F"),
    (LEDGER, "The margin was 38 percent.", "F"),
    (LEDGER, "The margin was 0.384.", "F"),
    (LEDGER, "The margin was 34.8%.", "U"),
    (LEDGER, "The margin was 39 percent.", "U"),
    (LETTER, "Sales grew 3.5 %.", "F"),
    (LETTER, "Sales grew by 350 basis points.", "F"),
    (LETTER, "Sales grew 35 %.", "U"),
    (LETTER, "Sales fell by 3.5 %.", "U"),
    (LETTER, "The tax rate was 21.5%.", "F"),
    (LETTER, "The tax rate was 22 per cent.", "F"),
    (LETTER, "The tax rate was 2.15%.", "U"),
    (LETTER, "The spread widened by 1.25 percentage points.", "F"),
    (LETTER, "The spread widened by 125 bps.", "F"),
    (LETTER, "The spread widened by 12.5 percentage points.", "U"),
    (LETTER, "Leverage was 1.2 times.", "F"),
    (LETTER, "Leverage was 1.3x.", "U"),
    (LETTER, "The tax was $21.5.", "U"),
    (LETTER, "Two thirds are leased, 66.7 percent.", "FU"),
    (TRIAL, "It occurred in 15% and 25.2%, hazard ratio 0.57 (95% CI 0.37–0.89).", "FFFFFF"),
    (TRIAL, "The hazard ratio was 0.75.", "U"),
    (TRIAL, "p was 0.012, not .12.", "FU"),
    (LEASE, "Interest is 1½ % a month.", "F"),
]
SIGNS = [
    (LEDGER, "The loss from discontinued operations was $214 million.", "F"),
    (LEDGER, "Discontinued operations: -214.", "F"),
    (LEDGER, "Discontinued operations: (214) after −198.", "FF"),
    (LEDGER, "Discontinued operations brought a net loss of 214 million.", "F"),
    (LEDGER, "Discontinued operations brought a profit of 214 million.", "U"),
    (LEDGER, "Operating income was -7,207 million.", "U"),
    (LEDGER, "It had an operating loss of 7,207 million.", "U"),
    (LEDGER, "Inventories increased by 509 million.", "F"),
    (LEDGER, "Purchases of equipment were 1,577 million.", "F"),
    (LETTER, "FY2018 had a loss of 87 million.", "FF"),
    (LETTER, "FY2018 had a profit of 87 million.", "FU"),
    (LETTER, "The result of fiscal 2018 was (87).", "FF"),
    (CHART, "Weight fell by 3.5 kg.", "F"),
    (CHART, "Weight rose by 3.5 kg.", "U"),
    (TRIAL, "The mean change was −2.4 points.", "F"),
    (TRIAL, "Scores decreased by 2.4 points.", "F"),
    (TRIAL, "Scores increased by 2.4 points.", "U"),
    (TRIAL, "The dose was 5-7 mg, at most 7 mg.", "FFF"),
]
UNITS = [
    (CHART, "Aspirin 75 mg daily.", "F"),
    (CHART, "Aspirin 0.075 g, or 75mg/day.", "FF"),
    (CHART, "Aspirin 75 µg.", "U"),
    (CHART, "Aspirin 57 mg.", "U"),
    (CHART, "Aspirin 0.75 g.", "U"),
    (CHART, "Levothyroxine 50 micrograms (50 mcg).", "FF"),
    (CHART, "Levothyroxine 500 µg.", "U"),
    (CHART, "Haemoglobin 13.5 g/dL.", "F"),
    (CHART, "Haemoglobin 135 g/dL.", "U"),
    (CHART, "HbA1c 7.2%, 55 mmol/mol.", "FFF"),
    (CHART, "Potassium 4.1 mmol/L, not 4.1 mg/dL.", "FU"),
    (CHART, "Blood pressure 142/86 mmHg.", "F"),
    (CHART, "Blood pressure 124/86 mmHg.", "U"),
    (CHART, "0.5 litres in 4 hours, 240 minutes.", "FFF"),
    (CHART, "5 litres over 4 days.", "UU"),
    (CHART, "Weight fell over 6 weeks, 42 days.", "FF"),
    (CHART, "Weight fell over 6 months.", "U"),
    (CHART, "The next visit is in 12 months.", "F"),
    (CHART, "The next visit is in 12 weeks.", "U"),
    (CHART, "Troponin 0.03 µg/L, 30 ng/L.", "FF"),
    (CHART, "Leukocytes 8.2 × 10^9/L.", "F"),
    (CHART, "The patient is 67 years old.", "F"),
    (CHART, "The patient is 76 years old.", "U"),
    (CHART, "The pain score is 2/10.", "F"),
    (TRIAL, "Follow-up was 18 months, one and a half years.", "F"),
    (TRIAL, "Follow-up was 18 years.", "U"),
    (LETTER, "The plan runs for a 12-month period, one year.", "FF"),
    (LETTER, "It covers twenty-one stores.", "F"),
    (LETTER, "It covers 21 stores.", "F"),
    (LETTER, "It covers 12 stores, twelve.", "FF"),
    (LETTER, "It covers thirty-one stores.", "U"),
]
DATES_AND_CODES = [
    (LETTER, "It was approved on 3 May 2024.", "F"),
    (LETTER, "It was approved on May 3, 2024 (2024-05-03).", "FF"),
    (LETTER, "It was approved in May 2024.", "F"),
    (LETTER, "It was approved on 5 March 2024.", "U"),
    (LETTER, "It was approved on 03/05/2024.", "F"),
    (LETTER, "It was approved on 13 May 2024.", "U"),
    (LETTER, "It was approved on 3 May 2023.", "U"),
    (LETTER, "It happened in Q2.", "F"),
    (LETTER, "It happened in the second quarter of 2024.", "FF"),
    (LETTER, "It happened in Q3.", "U"),
    (LETTER, "Fiscal 2018, that is FY2018 or 2018.", "FFF"),
    (LETTER, "Fiscal 2017, that is FY17.", "UU"),
    (LETTER, "The covenant is 3:1.", "FF"),
    (LEDGER, "As of December 31, 2025 and December 31, 2024.", "FF"),
    (LEDGER, "As of December 31, 2023.", "U"),
    (LEDGER, "As of December 30, 2025.", "U"),
    (LEDGER, "See Note 12 in Item 8.", "FF"),
    (LEDGER, "In 2025, 2024 and 2023.", "FFU"),
    (LEDGER, "Revenue in 2025 was 2,025 million.", "FU"),
    (LEDGER, "About $2.0 billion.", "U"),
    (CHART, "Seen on 9 March 2024 for E11.9.", "FF"),
    (FALLS, "The groups differed (F2,125 = 3.12, p = 0.044).", "FFF"),
    (FALLS, "The groups differed (F2,126 = 3.12, p = 0.044).", "UFF"),
    (CHART, "Seen on 3 September 2024 for E11.8.", "UU"),
    (CHART, "COVID-19 vaccine given; I10 noted.", "FF"),
    (CHART, "COVID-91 vaccine given; I11 noted.", "UU"),
    (LEASE, "Section 4.2(b) asks for 90 days.", "FF"),
    (LEASE, "Section 4.2(d) asks for 60 days.", "UU"),
    (LEASE, "Section 7.1.3 caps it; 401(k) plans are out.", "FF"),
    (LEASE, "Section 7.3.1 caps it.", "U"),
    (LEASE, "Under Section 12 the term ends on December 31, 2029; see Schedule 3.", "FFF"),
    (LEASE, "The term ends on December 31, 2026.", "U"),
    (LEASE, "Ninety days' notice, not 19 days.", "FU"),
]
NO_CLAIMS = [
    (LEDGER, "1. Revenue was 32,765 [1].\n2) See p. 45, pages 3–5 and passage 2 <2> [1, 2].", "F"),
    (LEDGER, "According to the 10-K and Form 8-K, one of the segments did well at first.", ""),
    (LEDGER, "- 7,207 in 2025\n- 5,938 in 2024", "FFFF"),
    (LEDGER, "Two things: (1) equipment and (2) dividends.", "C"),
    (LEDGER, "", ""),
    (LEDGER, "Nothing was said.", ""),
]
STEPS = [
    (LEDGER, "1,577 − 1,420 = 157", "FFC"),
    (LEDGER, "1,577 − 1,420 = 147", "FFU"),
    (LEDGER, "1,420 − 1,577 = 157", "FFU"),
    (LEDGER, "1,420 − 1,577 = −157", "FFC"),
    (LEDGER, "(1,577 - 1,420) / 1,420 = 11.1%", "FFFC"),
    (LEDGER, "(1,577 - 1,420) / 1,420 = 11%", "FFFC"),
    (LEDGER, "(1,577 - 1,420) / 1,420 × 100 = 11.06 %", "FFFCC"),
    (LEDGER, "(1,577 - 1,420) / 1,420 = 12.1%", "FFFU"),
    (LEDGER, "(1,577 - 1,420) / 1,577 = 11.1%", "FFFU"),
    (LEDGER, "7,207 ÷ 5,938 = 1.21", "FFC"),
    (LEDGER, "7,207 ÷ 5,938 ≈ 1.2x", "FFC"),
    (LEDGER, "7,207 ÷ 5,938 = 1.12", "FFU"),
    (LEDGER, "$7,207 million / $32,765 million = 22.0%.", "FFC"),
    (LEDGER, "FY2025 operating income 7,207 / FY2025 revenue 32,765 = 0.22", "FFFFC"),
    (LEDGER, "Growth = (1,577 − 1,420) / 1,420 = 157 / 1,420 = 0.1106 = 11.1%", "FFFCFCC"),
    (LEDGER, "$1.6 billion / $32.8 billion = 4.8%", "FFC"),
    (LEDGER, "1,999 − 1,420 = 579", "UFU"),
    (LEDGER, "(1,577 + 1,420) / 2 = 1,498.5 and 7,207 / 1,498.5 = 4.81", "FFCCFCC"),
    (LEDGER, "1,577 million − 1,420 million = 157 million, 157 / 365 = 0.43 a day", "FFCCCC"),
    (LEDGER, "1,577 + 1,420 = 2,997 million; 2,997 thousand is wrong.", "FFCU"),
    (LEDGER, "\\frac{1,577 - 1,420}{1,420} \\times 100 \\approx 11.1", "FFFCC"),
    (LEDGER, "(1,577 / 1,420)^(1/1) − 1 = 11.1 %", "FFCCC"),
    (LEDGER, "Growth was 11.1% ((1,577 − 1,420) / 1,420).", "CFFF"),
    (LEDGER, "The sum of 1,577, 1,420 and 509 is 3,506.", "FFFC"),
    (LEDGER, "The sum of 1,577, 1,420 and 509 is 3,605.", "FFFU"),
    (LEDGER, "The average of 1,577 and 1,420 is 1,498.5.", "FFC"),
    (LEDGER, "The average of 1,577 and 1,420 is 1,489.5.", "FFU"),
    (LEDGER, "It increased from 1,420 to 1,577, or 11 %.", "FFC"),
    (LEDGER, "It increased from 1,420 to 1,577, or 12 %.", "FFU"),
    (LEDGER, "It increased from 1,420 to 1,577, a difference of 157.", "FFC"),
    (LEDGER, "It increased from 1,420 to 1,577, a difference of 167.", "FFU"),
    (LEDGER, "It was $1,577 million, up 11.1% from $1,420 million.", "FCF"),
    (LEDGER, "It was $1,577 million, up 10.0% from $1,420 million.", "FUF"),
    (LEDGER, "It was $1,420 million, down 10.0% from $1,577 million.", "FCF"),
    (LEDGER, "It rose by 11.1 %.", "U"),
    (LEDGER, "It rose by 157 million.", "U"),
    (LEDGER, "The margin rose from 37.1 % to 38.4 %, by 1.3 percentage points.", "FFC"),
    (LEDGER, "The margin rose from 37.1 % to 38.4 %, by 130 basis points.", "FFC"),
    (LEDGER, "The margin rose from 37.1 % to 38.4 %, by 2.3 percentage points.", "FFU"),
    (TRIAL, "31 of 206 patients (15.0%) had it.", "FFF"),
    (TRIAL, "83 of 412 patients (20.1%) had it: 31 + 52 = 83.", "CFCFFC"),
    (TRIAL, "From 2020 to 2024, four years.", "UUU"),
    (TRIAL, "52 − 31 = 21 fewer events", "FFC"),
    (CHART, "75 mg × 7 = 525 mg a week", "FCC"),
    (CHART, "3 × 75 mg = 0.225 g", "CFC"),
    (CHART, "3 × 75 mg = 2.25 g", "CFU"),
    (LETTER, "Five lines: shoes, hats, belts, bags and gloves.", "C"),
    (LETTER, "Six lines: shoes, hats, belts, bags and gloves.", "U"),
    (LETTER, "It names four things:\n- stores\n- shares\n- sites\n- sales", "C"),
]
# Written once the rules stood, to measure them on what they weren't made with.
MEASURED = [
    (BANK, "Net interest income rose to C$4,318 million in 2023 from C$4,127 million, an increase of 5%.", "FFFF"),
    (BANK, "Net interest income was $4.3 billion.", "F"),
    (BANK, "Net interest income was $4.4 billion.", "U"),
    (BANK, "Provisions were $602 million, up 147 million from $455 million.", "FCF"),
    (BANK, "Provisions were $602 million, up 32% from $455 million.", "FFF"),
    (BANK, "Provisions rose by 23%.", "U"),
    (BANK, "Net income fell 4.3%: (1,946 − 2,033) / 2,033 = −4.3%.", "CFFFC"),
    (BANK, "Net income fell from 2,033 to 1,946, a decrease of 87 million.", "FFC"),
    (BANK, "Diluted EPS was $3.12 versus $3.20.", "FF"),
    (BANK, "Diluted EPS was $3.21.", "U"),
    (BANK, "The CET1 ratio improved 50 basis points, from 12.9% to 13.4%.", "FCFF"),
    (BANK, "The CET1 ratio improved by 0.5 percentage points from 12.9% to 13.4%.", "FCFF"),
    (BANK, "There were 21,480 full-time employees, 565 more than the 20,915 of the year before.", "FCF"),
    (BANK, "There were 21,840 full-time employees.", "U"),
    (BANK, "The fiscal year ended October 31, 2023.", "F"),
    (BANK, "The fiscal year ended September 30, 2023.", "U"),
    (BANK, "Efficiency: 1,946 / 4,318 = 45.1%.", "FFC"),
    (BANK, "Efficiency: 1,946 / 4,318 = 54.1%.", "FFU"),
    (BANK, "Net loss was 1,946 million.", "U"),
    (BANK, "Net interest income was 4,318 thousand.", "U"),
    (CALL, "Free cash flow was -$45.2 million in Q2 2023.", "FF"),
    (CALL, "Free cash flow was $(45.2) million for the quarter ended June 30, 2023.", "FF"),
    (CALL, "Free cash flow was a negative 45.2 million, down from 112.9 million: a swing of 158.1 million.", "FFU"),
    (CALL, "It issued EUR 0.75 billion of 3.625% notes due 2031.", "FFF"),
    (CALL, "It issued $750 million of notes.", "U"),
    (CALL, "It issued €750 million of 3.265% notes due in 2013.", "FUU"),
    (CALL, "About 318.4 million shares were outstanding on July 28, 2023.", "FF"),
    (CALL, "318 million shares were outstanding on 28 July.", "FF"),
    (CALL, "381 million shares were outstanding.", "U"),
    (CALL, "Backlog is about $14 billion, 60% of it (≈ $8.4 billion) within two years: 14 × 60% = 8.4.", "FFCFFFC"),
    (CALL, "60% of $14 billion is $8.4 billion.", "FFC"),
    (CALL, "Headcount was 17,900 after a reduction of 1,150, so 17,900 + 1,150 = 19,050 before.", "FFFFC"),
    (CALL, "There are 5 segments in thirty-eight countries.", "FF"),
    (CALL, "There are six segments in 83 countries.", "UU"),
    (CALL, "$2 billion of buybacks remain.", "F"),
    (CALL, "$20 billion of buybacks remain.", "U"),
    (CALL, "Revenue was $6.1 billion.", "U"),
    (TRIAL_OF_WEIGHT, "1204 participants, 48.6 % women, received 2.4 mg for 68 weeks.", "FFFF"),
    (TRIAL_OF_WEIGHT, "Weight fell by 14.9% against 2.4%, a difference of 12.4 points (95% CI 11.5–13.4).", "FFFFFF"),
    (TRIAL_OF_WEIGHT, "Weight rose by 14.9%.", "U"),
    (TRIAL_OF_WEIGHT, "Participants received 2.4 g.", "U"),
    (TRIAL_OF_WEIGHT, "Participants received 24 mg.", "U"),
    (TRIAL_OF_WEIGHT, "The trial lasted 68 months.", "U"),
    (TRIAL_OF_WEIGHT, "The trial lasted sixteen months.", "U"),
    (TRIAL_OF_WEIGHT, "Nausea: 44.2% vs 17.4%, i.e. 26.8 percentage points more.", "FFC"),
    (TRIAL_OF_WEIGHT, "Nausea: 44.2% vs 17.4%, i.e. 2.5 times as often.", "FFC"),
    (TRIAL_OF_WEIGHT, "Seven died (3 + 4 = 7).", "FFFF"),
    (TRIAL_OF_WEIGHT, "LDL was 2.9 mmol/L and creatinine 0.088 mmol/L.", "FF"),
    (TRIAL_OF_WEIGHT, "LDL was 9.2 mmol/L and creatinine 88 mmol/L.", "UU"),
    (TRIAL_OF_WEIGHT, "20% stopped early (1 in 5).", "CFF"),
    (TRIAL_OF_WEIGHT, "P < 0.001, n=1,204.", "FF"),
    (TRIAL_OF_WEIGHT, "P < 0.01.", "U"),
    (LICENCE, "The royalty is 3% of Net Sales, due within 45 days (Section 9.3).", "FFF"),
    (LICENCE, "The royalty is 3.5% of Net Sales, due within 30 days (Section 9.2).", "UUU"),
    (LICENCE, "Section 9.4(c)(ii): interest of 1.5 percent a month, i.e. 1.5% × 12 = 18% a year.", "FFFCC"),
    (LICENCE, "The term is 10 years from January 15, 2016, so it ends on January 15, 2026.", "FFU"),
    (LICENCE, "The initial term is twelve years.", "U"),
    (LICENCE, "The minimum guarantee is $250K, or USD 0.25 million.", "FF"),
    (LICENCE, "The minimum guarantee is $250 million.", "U"),
    (LICENCE, "Over ten years the guarantee comes to 10 × $250,000 = $2.5 million.", "FFFC"),
    (LICENCE, "Article IX, Section 1.14 defines the Territory.", "F"),
]
EXAMPLES = [*SCALES, *SHARES, *SIGNS, *UNITS, *DATES_AND_CODES, *NO_CLAIMS, *STEPS, *MEASURED]


def letters(checks):
    return "".join(check.status[0].upper() for check in checks)


class TestExamples:
    @pytest.mark.parametrize(("passage", "answer", "expected"), EXAMPLES, ids=[answer for _, answer, _ in EXAMPLES])
    def test_each_number_is_what_the_table_says(self, passage, answer, expected):
        """True numbers pass in any spelling; swapped digits, slips of scale, unit and sign, and wrong steps don't."""
        checks = check_numbers(answer, [passage])
        assert letters(checks) == expected, [(check.text, check.status, check.step) for check in checks]

    def test_the_table_holds_enough_of_both_kinds(self):
        """The table speaks for false alarms and for misses alike."""
        expected = "".join(letters for _, _, letters in EXAMPLES)
        assert len(EXAMPLES) >= 200
        assert expected.count("U") >= 80
        assert expected.count("F") + expected.count("C") >= 200

    def test_all_passages_together_bear_what_one_bears(self):
        """More evidence never makes a supported number unsupported, unless its step is wrong."""
        for passage, answer, expected in EXAMPLES:
            others = tuple(one for one in EVERYTHING if one is not passage)
            together = letters(check_numbers(answer, (passage, *others)))
            assert all(now != "U" or before == "U" for before, now in zip(expected, together, strict=True)), answer


class TestChecks:
    def test_says_where_a_number_stands(self):
        """A found number names the first passage that has it exactly, before one that only rounds to it."""
        rounds, exact = Shown(text="It cost $1.62 billion."), Shown(text="It cost $1.6 billion.")
        (check,) = check_numbers("It cost $1.6 billion.", [rounds, exact, exact])
        assert (check.status, check.where) == ("found", 1)
        (check,) = check_numbers("It cost $1.6 billion.", [LETTER, rounds])
        assert check.where == 1

    def test_says_what_a_number_means(self):
        """Scale and share are applied to the value; dates and codes have none."""
        values = [check.value for check in check_numbers("$1.6 billion, 12.5 %, (5), −3, E11.9, 3 May 2024, ½", [])]
        assert values == [1.6e9, 0.125, 5.0, -3.0, None, None, 0.5]

    def test_a_number_of_the_question_is_asked(self):
        """What only the question says is neither evidence nor invented; what stands in a passage is found."""
        question = "Is the ratio above 1.75 in FY2019, and was equipment 1,577?"
        checks = check_numbers(
            "It isn't above 1.75 in FY2019; equipment was 1,577, not 1.85.", [LEDGER], question=question
        )
        assert letters(checks) == "AAFU"

    def test_a_question_may_set_the_scale(self):
        """A bare number is in the unit that was asked for."""
        passage = Shown(text="We invested $1.577 billion.")
        assert letters(check_numbers("1577.00", [passage], question="How much, in USD millions?")) == "F"
        assert letters(check_numbers("1577.00", [passage], question="How much?")) == "U"

    def test_asked_numbers_may_be_operands(self):
        """A step may use what the question gives."""
        checks = check_numbers("1,577 / 45 = 35.04", [LEDGER], question="Per each of the 45 sites?")
        assert letters(checks) == "FAC"

    def test_a_wrong_step_is_recomputed(self):
        """The step says what it comes to; the operands stay what they are."""
        *_, last = check_numbers("1,577 − 1,420 = 147", [LEDGER])
        assert last.step == "1,577 − 1,420 is 157, not 147."

    def test_a_wrong_step_is_held_against_a_number_that_stands_elsewhere(self):
        """That 509 stands in the table doesn't make it the difference."""
        *_, last = check_numbers("1,577 − 1,420 = 509", [LEDGER])
        assert (last.status, last.where) == ("unsupported", None)

    def test_reported_totals_may_be_off_by_rounding(self):
        """A total that the document states stays found if rounded summands don't quite give it."""
        passage = Shown(text="Shoes 10.4\nHats 20.4\nTotal 30.9", context="in millions")
        assert letters(check_numbers("10.4 + 20.4 = 30.9", [passage])) == "FFF"
        assert letters(check_numbers("10.4 + 20.4 = 31.9", [passage])) == "FFU"

    def test_steps_use_what_stands_behind_rounded_operands(self):
        """A ratio of rounded figures may be that of the exact ones."""
        passage = Shown(text="Assets 3,349 and liabilities 1,451", context="in millions")
        assert letters(check_numbers("$3.3 billion / $1.5 billion = 2.31", [passage])) == "FFC"
        assert letters(check_numbers("$3.3 billion / $1.5 billion = 2.2", [passage])) == "FFC"
        assert letters(check_numbers("$3.3 billion / $1.5 billion = 2.4", [passage])) == "FFU"

    def test_a_slip_says_what_it_is(self):
        """A number that stands there with another scale or sign says so."""
        (scale,) = check_numbers("It was 1,577 billion.", [LETTER, LEDGER])
        assert scale.step == "Passage 2 has it with another unit or scale."
        (sign,) = check_numbers("Operating income was −7,207.", [LEDGER])
        assert sign.step == "Passage 1 has it with another sign."

    def test_headings_context_and_defaults_are_evidence(self):
        """All that the model saw beside a passage counts."""
        passage = Shown(text="Rent 45", context="2019 2018", heading="Note 23", defaults="year ends 30 June")
        assert letters(check_numbers("Rent was 45 in 2019 (Note 23; 30 June).", [passage])) == "FFFF"

    def test_a_scale_governs_only_its_passage(self):
        """Thousands in one passage don't govern another."""
        passages = [Shown(text="Rent 4,512", context="in thousands"), Shown(text="Wages 7,833", context="in millions")]
        answer = "Rent was 4,512 thousand, wages 7,833 million; rent 4,512 million, wages 7,833 thousand."
        assert letters(check_numbers(answer, passages)) == "FFUU"

    def test_the_nearest_statement_of_scale_governs(self):
        """Within a passage the scale above a figure is its own."""
        passage = Shown(text="(in millions)\nSales 8,415\n(in thousands)\nShares 9,236")
        answer = "Sales were 8,415 million, shares 9,236 thousand; shares 9,236 million."
        assert letters(check_numbers(answer, [passage])) == "FFU"

    def test_without_evidence_nothing_is_found(self):
        """No passages, no support; constants are no evidence either."""
        assert letters(check_numbers("12 months, 365 days, $3 million", [])) == "UUU"


class TestNote:
    def check(self, text, status="unsupported"):
        return NumberCheck(text=text, value=None, status=status)

    def test_names_what_is_unsupported_once_each(self):
        """One sentence, in the order of the answer; nothing if all is well."""
        checks = [self.check("3.2 %"), self.check("1,577", "found"), self.check("1,999"), self.check("3.2 %")]
        note = "3.2 % and 1,999 stand in nothing that was read, nor follow from a step in the answer."
        assert unsupported_note(checks) == note
        assert unsupported_note([self.check("5", "asked")]) == ""
        assert unsupported_note([]) == ""

    def test_counts_what_would_be_too_many_to_name(self):
        """A long list is cut, and says how long it was."""
        note = unsupported_note([self.check(str(number)) for number in range(20)])
        assert note.startswith("0, 1, 2, 3, 4, 5 and 14 more stand in nothing")
        assert "0, 1, 2, 3, 4, 5 and 6 stand" in unsupported_note([self.check(str(number)) for number in range(7)])


# -- properties --------------------------------------------------------------------------------------------------------


def grouped(number, mark):
    return f"{number:,}".replace(",", mark)


def point(number, decimals):
    """An integer with so many of its digits behind a point."""
    text = str(number).zfill(decimals + 1)
    return f"{text[:-decimals]}.{text[-decimals:]}"


def indian(number):
    head, tail = str(number)[:-3], str(number)[-3:]
    groups = [head[max(0, end - 2) : end] for end in range(len(head), 0, -2)][::-1]
    return ",".join([*groups, tail])


# A number of millions between a thousand and a million, as documents and models write it.
MONEY = {
    "table": lambda n: Shown(text=f"Goodwill {n:,}", context="in millions"),
    "column": lambda n: Shown(text=f"$ millions\nGoodwill | {n:,} |"),
    "words": lambda n: Shown(text=f"Goodwill was {n:,} million."),
    "short": lambda n: Shown(text=f"Goodwill was US$ {point(n, 3)}bn."),
    "full": lambda n: Shown(text=f"Goodwill was ${n * 1_000_000:,}."),
    "thousands": lambda n: Shown(text=f"Goodwill {n * 1_000:,}", context="(dollars in thousands)"),
    "narrow": lambda n: Shown(text=f"Goodwill was {grouped(n, chr(0x202F))} million."),
    "indian": lambda n: Shown(text=f"Goodwill was {indian(n * 1_000_000)}."),
    "swiss": lambda n: Shown(text=f"Goodwill was {grouped(n, chr(39))} Mio."),
    "point": lambda n: Shown(text=f"Firmenwert {grouped(n * 1_000, '.')},00 Tsd. EUR"),
}
SHARE = {
    "sign": lambda n: f"{point(n, 1)}%",
    "spaced": lambda n: f"{point(n, 1)} %",
    "word": lambda n: f"{point(n, 1)} percent",
    "fraction": lambda n: point(n, 3),
    "basis": lambda n: f"{n * 10:,} basis points",
    "comma": lambda n: f"{point(n, 1).replace('.', ',')} %",
}
MASS = {
    "mg": lambda n: f"{n} mg",
    "tight": lambda n: f"{n}mg",
    "g": lambda n: f"{point(n, 3)} g",
    "mcg": lambda n: f"{n * 1_000:,} µg",
    "words": lambda n: f"{n} milligrams",
}
MONTHS = "January February March April May June July August September October November December".split()
DAY = {
    "iso": lambda y, m, d: f"{y}-{m:02}-{d:02}",
    "english": lambda y, m, d: f"{d} {MONTHS[m - 1]} {y}",
    "american": lambda y, m, d: f"{MONTHS[m - 1]} {d}, {y}",
    "short": lambda y, m, d: f"{d} {MONTHS[m - 1][:3]} {y}",
    "ordinal": lambda y, m, d: f"{d}th of {MONTHS[m - 1]} {y}",
    "slashes": lambda y, m, d: f"{m:02}/{d:02}/{y}",
}
# Nothing in a number's first digits may be confused with a year, which isn't rounded.
MILLIONS = st.integers(2_100, 999_999)


PIECES = (
    "0 1 12 1,577 1.5 1.577,5 . , ( ) [ ] < > - − – + × * · / ÷ ^ = ≈ % $ € ½ ' x bn million kg mg/dL "
    "months of from to "
    "FY18 Q4 2024 May 3 December three twenty half -5 (214) E11.9 4.2(b) COVID-19 10^9 sum average increased "
    "\n \0 İ ß ﬁ ٣ ² Ⅳ"
).split(" ")


def with_digit_changed(text, at, shift):
    """A text with one of its significant digits changed to another; the first stays no zero."""
    places = [place for place, mark in enumerate(text) if mark.isdigit()]
    significant = next(place for place in places if text[place] != "0")
    places = [place for place in places if place >= significant]
    place = places[at % len(places)]
    changed = (int(text[place]) + shift) % 10
    assume(not (place == significant and changed == 0))
    return text[:place] + str(changed) + text[place + 1 :]


class TestProperties:
    @given(MILLIONS, st.sampled_from(sorted(MONEY)), st.sampled_from(("short", "full", "words", "narrow", "swiss")))
    def test_an_amount_is_found_in_any_style(self, number, written, said):
        """Scale, grouping and currency don't matter as long as the amount is the same."""
        answer = MONEY[said](number).text
        assert letters(check_numbers(answer, [MONEY[written](number)])) == "F"

    @given(MILLIONS, st.sampled_from(sorted(MONEY)), st.integers(0, 5), st.integers(1, 9))
    def test_a_changed_digit_makes_an_amount_unsupported(self, number, written, at, shift):
        """Wherever a digit is changed, the number isn't the one that stands there."""
        answer = with_digit_changed(f"It was {number:,} million.", at, shift)
        assert letters(check_numbers(answer, [MONEY[written](number)])) == "U"

    @given(
        MILLIONS, st.sampled_from(sorted(set(MONEY) - {"indian"})), st.sampled_from(("thousand", "billion", "trillion"))
    )
    def test_a_slip_of_scale_makes_an_amount_unsupported(self, number, written, scale):
        """A scale that is stated at both must be the same."""
        assert letters(check_numbers(f"It was {number:,} {scale}.", [MONEY[written](number)])) == "U"

    @given(st.integers(101, 999), st.sampled_from(sorted(SHARE)), st.sampled_from(sorted(SHARE)))
    def test_a_share_is_found_in_any_style(self, number, written, said):
        """Per cent, basis points and fractions of one are the same."""
        passage = Shown(text=f"The margin was {SHARE[written](number)} of sales.")
        assert letters(check_numbers(f"It was {SHARE[said](number)}.", [passage])) == "F"

    @given(
        st.integers(101, 999),
        st.sampled_from(sorted(SHARE)),
        st.sampled_from(sorted(SHARE)),
        st.integers(0, 2),
        st.integers(1, 9),
    )
    def test_a_changed_digit_makes_a_share_unsupported(self, number, written, said, at, shift):
        """A share with another digit is another share."""
        passage = Shown(text=f"The margin was {SHARE[written](number)} of sales.")
        answer = with_digit_changed(f"It was {SHARE[said](number)}.", at, shift)
        assume(float(answer.translate({44: "."} if said == "comma" else {44: None}).split()[2].rstrip(".%")) > 0)
        assert letters(check_numbers(answer, [passage])) == "U"

    @given(st.integers(101, 999), st.sampled_from(sorted(MASS)), st.sampled_from(sorted(MASS)))
    def test_a_dose_is_found_in_any_unit(self, number, written, said):
        """SI prefixes are powers of ten."""
        passage = Shown(text=f"Aspirin {MASS[written](number)} daily")
        assert letters(check_numbers(f"The dose is {MASS[said](number)}.", [passage])) == "F"
        other = with_digit_changed(MASS[said](number), 1, 3)
        assert letters(check_numbers(f"The dose is {other}.", [passage])) == "U"

    @given(
        st.dates(dt.date(1900, 1, 1), dt.date(2099, 12, 31)), st.sampled_from(sorted(DAY)), st.sampled_from(sorted(DAY))
    )
    def test_a_date_is_found_in_any_style(self, date, written, said):
        """A day is the same in any order of its parts."""
        passage = Shown(text=f"Signed {DAY[written](date.year, date.month, date.day)} in Bern.")
        answer = f"It was signed on {DAY[said](date.year, date.month, date.day)}."
        assert letters(check_numbers(answer, [passage])) == "F"

    @given(
        st.dates(dt.date(1900, 1, 1), dt.date(2099, 12, 31)),
        st.sampled_from(sorted(set(DAY) - {"slashes"})),
        st.integers(1, 27),
    )
    def test_another_day_is_unsupported(self, date, said, shift):
        """A day of the same month isn't that day."""
        other = (date.day - 1 + shift) % 28 + 1
        assume(other != date.day)
        passage = Shown(text=f"Signed {DAY['american'](date.year, date.month, date.day)} in Bern.")
        assert letters(check_numbers(f"Signed {DAY[said](date.year, date.month, other)}.", [passage])) == "U"

    @given(st.integers(1_000, 99_999), st.integers(1_000, 99_999), st.sampled_from("+-×/"), st.integers(0, 30))
    def test_a_step_is_what_it_comes_to(self, one, other, sign, off):
        """A right result is computed, a wrong one unsupported, whatever the operation."""
        passage = Shown(text=f"Shoes {one:,}\nHats {other:,}")
        value = {"+": one + other, "-": one - other, "×": one * other, "/": one / other}[sign] + off
        stated = f"{value:,.2f}" if sign == "/" else f"{value:,}"
        assume(all(abs(float(stated.replace(",", "")) - known) > 0.6 for known in (one, other)) or not off)
        *_, last = check_numbers(f"{one:,} {sign} {other:,} = {stated}", [passage])
        assert last.status in (("unsupported",) if off else ("computed", "found"))

    @given(st.text(max_size=200), st.text(max_size=200))
    def test_any_text_is_answered(self, answer, text):
        """Whatever is written, there is an answer and no error."""
        self.assert_sound(answer, [Shown(text=text, context=answer)])

    @settings(max_examples=400)
    @given(st.lists(st.sampled_from(PIECES), max_size=40), st.sampled_from(("", " ")))
    def test_any_jumble_of_numbers_is_answered(self, pieces, joint):
        """What looks like numbers, dates and steps but is none doesn't raise either."""
        answer = joint.join(pieces)
        self.assert_sound(answer, [LEDGER, Shown(text=answer[::-1])])

    def assert_sound(self, answer, passages):
        checks = check_numbers(answer, passages, question=answer[:20])
        end = 0
        for check in checks:
            assert end <= check.start < check.end <= len(answer)
            assert check.text == answer[check.start : check.end]
            assert (check.where is not None) == (check.status == "found")
            assert check.where is None or 0 <= check.where < len(passages)
            end = check.end
        unsupported_note(checks)

    @given(st.sampled_from(EXAMPLES))
    def test_the_same_texts_give_the_same_checks(self, example):
        """There is no memory between calls."""
        passage, answer, _ = example
        assert check_numbers(answer, [passage]) == check_numbers(answer, [passage])


class TestCost:
    ROWS = "".join(
        f"Line {n} {n * 7919 % 99_991:,} ({n * 104_729 % 9_973:,}) {n % 97}.{n % 10} %\n" for n in range(4_000)
    )[:100_000]
    PROSE = (
        "Sales grew 3.2% in the second quarter of 2024, and about $1.6 billion is to be spent on plants. " * 1_100
    )[:100_000]
    HOSTILE = (
        "9" * 10_000,
        "1 " * 5_000,
        "1+" * 4_999 + "1=3",
        "1=" * 5_000,
        "(" * 10_000,
        "(1+" * 3_000 + "1" + ")" * 900 + "=5",
        "9^" * 4_999 + "9=1",
        "1," * 5_000,
        "1." * 5_000,
        "1/" * 5_000,
        "-" * 9_999 + "1",
        "a-" * 4_999 + "1",
        "a" * 10_000,
        "a" * 9_999 + "1",
        "$" * 9_999 + "1",
        "three: " * 1_400,
        "[" + "1," * 4_999,
        "1 000" * 2_000,
        "up 1% from 1 " * 770,
        " ".join(f"{n}.5 kg" for n in range(1_300)),
        " ".join(str(n * 7919 % 99_991) for n in range(1_700)),
        "\n".join(f"{n} + {n} = {2 * n}" for n in range(640)),
    )

    PASSAGES = (
        "9" * 100_000,
        "1 " * 50_000,
        "1," * 50_000,
        "may 1 " * 16_000,
        "in millions " * 8_000,
        "illion" * 16_000,
        "three " * 16_000,
        "(" * 100_000,
        "a" * 100_000,
        "2024 " * 20_000,
        PROSE,
    )

    @pytest.mark.parametrize("answer", HOSTILE, ids=[answer[:12] for answer in HOSTILE])
    def test_hostile_answers_take_no_time(self, answer):
        """Ten thousand characters of anything, against a hundred thousand of rows, in well under a second."""
        passages = [Shown(text=self.ROWS[at : at + 4_000], context="in millions") for at in range(0, 100_000, 4_000)]
        assert self.seconds(answer, passages) < 1.0

    @pytest.mark.parametrize("text", PASSAGES, ids=[text[:12] for text in PASSAGES])
    def test_hostile_passages_take_no_time(self, text):
        """Nor do passages of anything."""
        answer = (
            "Capex was $1.6 billion in 2018, three years before 3 May 2024; 12 months, 11.1 %, E11.9, two-thirds, 0."
        )
        assert self.seconds(answer, [Shown(text=text)]) < 1.0

    def seconds(self, answer, passages):
        start = time.process_time()
        check_numbers(answer, passages, question="What was capex in 2018?")
        return time.process_time() - start

    def test_numbers_beyond_any_answer_are_listed_but_not_checked(self):
        """They are unsupported, and say why; their places are still right."""
        checks = check_numbers("1,577 " * 600, [LEDGER])
        assert len(checks) == 600
        assert checks[499].status == "found"
        assert checks[500].status == "unsupported"
        assert checks[599].start == 599 * 6
        assert "more than 500 numbers" in checks[500].step

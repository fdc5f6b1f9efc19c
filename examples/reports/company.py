"""The numbers of Marrowick Corporation, an invented company.

Money is kept as whole tenths of a million dollars, so that sums are exact and print with one decimal. Share counts
are in thousands, per-share amounts in cents and the parent-only schedule in thousands of dollars.

Every statement and note of the report prints from the one table that `build` returns. `EQUATIONS` says how its
figures hang together: `build` uses them to derive totals and closing balances, `check` to verify a finished table.
"""

from __future__ import annotations

from collections.abc import Iterable

Figures = dict[str, dict[int, int]]
YEARS = (23, 24, 25)


class Mismatch(ValueError):
    """Two figures that must agree do not."""


# Flows of fiscal 2023, 2024 and 2025.
FLOWS: dict[str, tuple[int, int, int]] = {
    # net sales by product and service line
    "display_cases": (4026, 4213, 4389),
    "cold_rooms": (2384, 2517, 2896),
    "condensing": (1849, 2018, 2364),
    "truck_trailer": (3615, 3729, 3662),
    "container_rail": (1187, 1093, 975),
    "last_mile": (642, 836, 1048),
    "maintenance": (2143, 2395, 2761),
    "parts": (1718, 1874, 2017),
    "field_service": (626, 689, 774),
    "monitoring": (314, 437, 718),
    # net sales by place
    "geo_us": (11836, 12748, 14092),
    "geo_na": (1942, 2067, 2218),
    "geo_europe": (3309, 3481, 3690),
    # income statement
    "cost_products": (11443, 12095, 12814),
    "cost_services": (1872, 2106, 2487),
    "sga": (2687, 2869, 3126),
    "rd": (583, 641, 738),
    "amortization": (146, 159, 217),
    "restructuring": (28, 62, 184),
    "impairment": (0, 225, 0),
    "interest_expense": (328, 346, 379),
    "interest_income": (29, 41, 53),
    "extinguishment": (0, 0, 37),
    "other_income": (12, -8, 6),
    # income tax
    "tax_state": (51, 48, 61),
    "tax_foreign": (23, 14, -17),
    "tax_rd_credit": (-42, -49, -63),
    "tax_impairment": (0, 47, 0),
    "tax_stock": (-9, -6, -14),
    "tax_valuation": (4, 13, 22),
    "tax_other": (7, -3, 5),
    "current_state": (62, 65, 71),
    "current_foreign": (68, 74, 59),
    "deferred_federal": (-23, -56, 17),
    "deferred_state": (-4, -9, 3),
    "deferred_foreign": (-5, -3, 4),
    # segments
    "cr_income": (945, 1043, 1214),
    "tc_income": (579, 513, 442),
    "ls_income": (816, 979, 1249),
    "cr_cost": (6247, 6612, 7290),
    "tc_cost": (4341, 4577, 4627),
    "cr_depreciation": (218, 226, 243),
    "tc_depreciation": (149, 153, 158),
    "ls_depreciation": (112, 124, 148),
    "cr_capex": (297, 264, 391),
    "tc_capex": (168, 143, 136),
    "ls_capex": (149, 151, 243),
    "acquisition_costs": (0, 7, 49),
    # cash flow
    "depreciation": (524, 551, 598),
    "stock_comp_rsu": (86, 97, 112),
    "stock_comp_psu": (39, 47, 57),
    "stock_comp_options": (17, 17, 18),
    "debt_cost_amortization": (14, 14, 16),
    "debt_cost_write_off": (0, 0, 15),
    "asset_write_downs": (0, 11, 59),
    "gain_disposal": (9, -4, 12),
    "noncash_lease": (186, 194, 209),
    "cf_lease": (-181, -190, -202),
    "cf_receivables": (-198, -235, -317),
    "cf_inventories": (-416, 128, -224),
    "cf_prepaid": (-31, -44, -26),
    "cf_payables": (147, -92, 213),
    "cf_compensation": (34, -16, 62),
    "cf_deferred_revenue": (67, 91, 148),
    "cf_warranty": (12, 74, 21),
    "cf_tax_payable": (19, -27, 38),
    "cf_other_accrued": (22, 36, -19),
    "cf_other_long_term": (-6, 11, -8),
    "capex": (-684, -619, -843),
    "proceeds_disposal": (24, 6, 39),
    "other_investing": (-15, -9, -22),
    "revolver_net": (150, -250, 400),
    "term_loan_repaid": (-125, -125, -187),
    "notes_issued": (0, 0, 3000),
    "notes_redeemed": (0, 0, -2500),
    "debt_costs_paid": (0, 0, -46),
    "redemption_premium": (0, 0, -22),
    "finance_lease_paid": (-31, -34, -37),
    "dividends": (-339, -373, -407),
    "repurchases": (-365, -384, -506),
    "withheld_taxes": (-48, -53, -64),
    "option_proceeds": (39, 46, 52),
    "fx_cash": (-16, 12, -23),
    "accrued_interest_change": (-5, 1, 11),
    # not in cash
    "new_operating_leases": (214, 168, 273),
    "new_finance_leases": (36, 29, 54),
    "acq_receivables": (0, 18, 97),
    "acq_inventories": (0, 6, 52),
    "acq_prepaid": (0, 0, 11),
    "acq_ppe": (0, 11, 44),
    "acq_intangibles": (0, 76, 683),
    "acq_payables": (0, 12, 46),
    "acq_compensation": (0, 0, 21),
    "acq_deferred_revenue": (0, 5, 79),
    "acq_deferred_tax": (0, 6, 104),
    "acq_cash": (0, 4, 38),
    "fx_receivables": (-29, 21, -34),
    "fx_inventories": (-22, 17, -26),
    "fx_ppe": (-41, 32, -47),
    "fx_intangibles": (-11, 8, -12),
    "fx_payables": (-17, 13, -20),
    "fx_other_accrued": (-8, 6, -9),
    "fx_leases": (-5, 4, -6),
    # goodwill by segment
    "acq_goodwill_cr": (0, 0, 0),
    "acq_goodwill_tc": (0, 0, 0),
    "acq_goodwill_ls": (0, 94, 789),
    "impairment_cr": (0, 0, 0),
    "impairment_tc": (0, 225, 0),
    "impairment_ls": (0, 0, 0),
    "fx_goodwill_cr": (-16, 12, -15),
    "fx_goodwill_tc": (-13, 11, -12),
    "fx_goodwill_ls": (-7, 5, -12),
    # pensions
    "service_cost": (46, 44, 42),
    "interest_cost": (98, 104, 101),
    "expected_return": (110, 113, 112),
    "pension_loss_amortized": (5, 8, 9),
    "actuarial_loss": (-63, 127, -89),
    "actual_return": (112, 198, 106),
    "contributions": (85, 90, 75),
    "benefits": (121, 126, 132),
    # hedges
    "hedge_pretax": (12, -20, 14),
    # roll-forwards of reserves
    "warranty_accruals": (214, 231, 248),
    "warranty_estimates": (6, 52, 11),
    "allowance_provision": (14, 19, 26),
    "allowance_written_off": (10, 13, 17),
    "restructuring_paid": (21, 44, 92),
    "restructuring_severance": (22, 39, 97),
    "restructuring_facility": (6, 12, 28),
    # leases
    "short_term_lease": (21, 24, 26),
    "variable_lease": (47, 51, 58),
    "finance_lease_amortization": (29, 31, 35),
    "finance_lease_interest": (9, 9, 11),
    "operating_lease_cost": (226, 238, 257),
    # shares, in thousands
    "shares_issued_plans": (312, 356, 391),
    "shares_repurchased": (1044, 1002, 1125),
    "basic_shares": (49812, 49126, 48418),
    "dilutive_shares": (574, 603, 688),
    "rsu_granted": (418, 397, 386),
    "rsu_vested": (301, 334, 352),
    "rsu_forfeited": (39, 44, 31),
    "options_granted": (142, 131, 118),
    "options_exercised": (131, 148, 157),
    "options_forfeited": (18, 12, 21),
    # headcount
    "staff_us": (4180, 4270, 4410),
    "staff_na": (910, 930, 960),
    "staff_europe": (1240, 1220, 1265),
    "staff_asia": (470, 480, 545),
    # parent company only, thousands of dollars
    "k_parent_sga": (21864, 23417, 27952),
    "k_parent_interest": (31206, 32977, 36148),
    "k_parent_tax_benefit": (11143, 11842, 13461),
    "k_parent_intercompany": (18425, 19306, 20117),
    "k_parent_rounding": (17, -31, 27),
}

# Balances: the opening one (end of fiscal 2022); the equations roll the rest forward.
OPENING: dict[str, int] = {
    "cash": 1184, "receivables": 2689, "inventories": 3017, "prepaid": 386, "ppe": 3842, "rou": 884,
    "goodwill_cr": 1684, "goodwill_tc": 1362, "goodwill_ls": 1080, "intangibles": 1487, "other_assets": 295,
    "payables": 1963, "compensation": 648, "deferred_revenue": 924, "warranty": 279, "tax_payable": 64,
    "other_accrued": 582, "lease_liability": 913, "deferred_tax": 527, "other_long_term": 219,
    "revolver": 550, "term_loan": 2500, "notes_2026": 2500, "notes_2032": 0, "finance_leases": 189,
    "unamortized_costs": 69, "pbo": 2146, "plan_assets": 1713, "common_stock": 6, "apic": 2845,
    "treasury": -1883, "aoci_translation": -284, "aoci_pension": -341, "aoci_hedges": 8, "accrued_capex": 72,
    "allowance": 61, "restructuring_reserve": 6,
    "shares_issued": 56900, "treasury_shares": 6686, "rsu_outstanding": 812, "options_outstanding": 1136,
}  # fmt: skip

# Figures of the balance sheet date, fiscal 2022 to 2025, that nothing else determines.
BALANCES: dict[str, tuple[int, int, int, int]] = {
    "current_debt": (153, 156, 159, 166),
    "current_lease": (180, 187, 191, 206),
    "current_deferred_revenue": (713, 764, 837, 1006),
}

# Detail of the two balance sheet dates shown in the notes, fiscal 2024 and 2025.
DETAIL: dict[str, tuple[int, int]] = {
    "raw_materials": (1487, 1562),
    "work_in_process": (412, 446),
    "inventory_reserve": (231, 254),
    "land": (219, 217),
    "buildings": (2384, 2456),
    "machinery": (5127, 5418),
    "service_fleet": (668, 774),
    "construction": (296, 487),
    "customer_gross": (1642, 2018),
    "customer_accumulated": (884, 997),
    "technology_gross": (697, 991),
    "technology_accumulated": (401, 513),
    "dta_inventory": (104, 113),
    "dta_warranty": (141, 146),
    "dta_pension": (72, 41),
    "dta_deferred_revenue": (68, 92),
    "dta_lease": (231, 247),
    "dta_losses": (126, 149),
    "dta_stock": (57, 64),
    "dta_valuation": (71, 93),
    "dtl_ppe": (468, 497),
    "dtl_intangibles": (389, 553),
    "dtl_rou": (224, 239),
    "plan_equities": (738, 702),
    "plan_bonds": (921, 994),
    "cr_assets": (7342, 7816),
    "tc_assets": (4471, 4390),
    "ls_assets": (3926, 5789),
    "assets_geo_us": (2418, 2591),
    "assets_geo_na": (584, 612),
    "assets_geo_europe": (751, 778),
    "cr_us": (5412, 5980),
    "cr_na": (1042, 1118),
    "cr_europe": (1716, 1903),
    "tc_us": (3361, 3337),
    "tc_na": (541, 538),
    "tc_europe": (962, 970),
    "rpo_12_months": (1984, 2315),
    "rpo_later": (1421, 1813),
    "q1_net_sales": (4612, 4987),
    "q2_net_sales": (4836, 5214),
    "q3_net_sales": (5147, 5633),
    "q1_gross_profit": (1281, 1409),
    "q2_gross_profit": (1362, 1503),
    "q3_gross_profit": (1487, 1672),
    "q1_operating_income": (361, 398),
    "q2_operating_income": (437, 462),
    "q3_operating_income": (549, 611),
    "q1_net_income": (214, 241),
    "q2_net_income": (273, 286),
    "q3_net_income": (351, 392),
    "k_parent_cash": (11682, 14237),
    "k_parent_other": (9317, 10844),
    "k_parent_debt": (515941, 585687),
    "k_parent_liabilities": (31208, 34519),
    "k_equity_rounding": (24, -18),
}

# The end of fiscal 2025 only.
SCHEDULES: dict[str, int] = {
    "term_26": 125, "term_27": 125, "term_28": 188, "term_29": 1625,
    "finance_26": 41, "finance_27": 39, "finance_28": 36, "finance_29": 32, "finance_30": 24, "finance_later": 34,
    "lease_26": 236, "lease_27": 201, "lease_28": 164, "lease_29": 127, "lease_30": 93, "lease_later": 312,
    "amort_26": 231, "amort_27": 218, "amort_28": 197, "amort_29": 171, "amort_30": 152,
    "purchase_26": 412, "purchase_27": 138, "purchase_28": 46,
    "litigation_accrual": 62, "litigation_low": 62, "litigation_high": 185, "litigation_settled": 117,
    "letters_of_credit": 168, "revolver_size": 4000,
    "bf_customer": 376, "bf_technology": 294, "bf_trademark": 13, "bf_sales": 246, "bf_before": 98,
    "amended_term": 188, "amended_revolver_size": 5000,
}  # fmt: skip

# The error in fiscal 2024 that this report corrects.
REVISION: dict[str, int] = {"error_warranty": 46, "error_tax": 11}

EQUATIONS = """
cr_sales = display_cases + cold_rooms + condensing
tc_sales = truck_trailer + container_rail + last_mile
ls_sales = maintenance + parts + field_service + monitoring
sales_products = cr_sales + tc_sales + parts
sales_services = maintenance + field_service + monitoring
net_sales = sales_products + sales_services
net_sales = cr_sales + tc_sales + ls_sales
geo_asia = net_sales - geo_us - geo_na - geo_europe
cr_asia = cr_sales - cr_us - cr_na - cr_europe
tc_asia = tc_sales - tc_us - tc_na - tc_europe
ls_us = geo_us - cr_us - tc_us
ls_na = geo_na - cr_na - tc_na
ls_europe = geo_europe - cr_europe - tc_europe
ls_asia = geo_asia - cr_asia - tc_asia
ls_sales = ls_us + ls_na + ls_europe + ls_asia
geo_outside_us = geo_na + geo_europe + geo_asia
cost_of_sales = cost_products + cost_services
gross_profit = net_sales - cost_of_sales
margin_products = sales_products - cost_products
margin_services = sales_services - cost_services
gross_profit = margin_products + margin_services
operating_expenses = sga + rd + amortization + restructuring + impairment
operating_income = gross_profit - operating_expenses
ls_cost = cost_of_sales - cr_cost - tc_cost
cr_other = cr_sales - cr_cost - cr_income
tc_other = tc_sales - tc_cost - tc_income
ls_other = ls_sales - ls_cost - ls_income
segment_income = cr_income + tc_income + ls_income
corporate_expense = segment_income - amortization - restructuring - impairment - operating_income
pretax_income = operating_income - interest_expense + interest_income - extinguishment + other_income
tax = tax_statutory + tax_state + tax_foreign + tax_rd_credit + tax_impairment + tax_stock + tax_valuation + tax_other
deferred = deferred_federal + deferred_state + deferred_foreign
current_tax = tax - deferred
current_federal = current_tax - current_state - current_foreign
net_income = pretax_income - tax
corporate_depreciation = depreciation - cr_depreciation - tc_depreciation - ls_depreciation
da = depreciation + amortization
adjusted_operating_income = operating_income + amortization + restructuring + impairment + acquisition_costs
adjusted_pretax = pretax_income + amortization + restructuring + impairment + acquisition_costs + extinguishment
ebitda = net_income + tax + interest_expense - interest_income + da
adjusted_ebitda = ebitda + restructuring + impairment + acquisition_costs + extinguishment + stock_comp - other_income
stock_comp = stock_comp_rsu + stock_comp_psu + stock_comp_options
net_periodic_cost = service_cost + interest_cost - expected_return + pension_loss_amortized
cf_pension = net_periodic_cost - contributions
working_capital_change = cf_receivables + cf_inventories + cf_prepaid + cf_payables + cf_compensation
other_operating_change = cf_deferred_revenue + cf_warranty + cf_tax_payable + cf_other_accrued + cf_other_long_term
noncash_1 = depreciation + amortization + debt_cost_amortization + extinguishment + stock_comp + deferred + impairment
noncash_2 = asset_write_downs - gain_disposal + cf_pension + noncash_lease + cf_lease
operating_cash = net_income + noncash_1 + noncash_2 + working_capital_change + other_operating_change
acq_goodwill = acq_goodwill_cr + acq_goodwill_tc + acq_goodwill_ls
acq_assets = acq_receivables + acq_inventories + acq_prepaid + acq_ppe + acq_goodwill + acq_intangibles
acq_liabilities = acq_payables + acq_compensation + acq_deferred_revenue + acq_deferred_tax
acq_net_of_cash = acq_assets - acq_liabilities
acq_price = acq_net_of_cash + acq_cash
investing_cash = capex + proceeds_disposal - acq_net_of_cash + other_investing
financing_debt = revolver_net + term_loan_repaid + notes_issued + notes_redeemed + debt_costs_paid + redemption_premium
financing_shares = dividends + repurchases + withheld_taxes + option_proceeds
financing_cash = financing_debt + finance_lease_paid + financing_shares
cash_change = operating_cash + investing_cash + financing_cash + fx_cash
cash = cash@ + cash_change
free_cash_flow = operating_cash + capex
accrued_capex_change = accrued_capex - accrued_capex@
capex_incurred = accrued_capex_change - capex
corporate_capex = capex_incurred - cr_capex - tc_capex - ls_capex
disposals_book = proceeds_disposal - gain_disposal
extinguishment = redemption_premium_cost + debt_cost_write_off
redemption_premium_cost = 0 - redemption_premium
receivables = receivables@ - cf_receivables + acq_receivables + fx_receivables
inventories = inventories@ - cf_inventories + acq_inventories + fx_inventories
prepaid = prepaid@ - cf_prepaid + acq_prepaid + hedge_pretax
ppe_additions = capex_incurred + new_finance_leases
ppe = ppe@ + ppe_additions + acq_ppe - depreciation - disposals_book - asset_write_downs + fx_ppe
rou = rou@ + new_operating_leases - noncash_lease + fx_leases
lease_liability = lease_liability@ + new_operating_leases + cf_lease + fx_leases
goodwill_cr = goodwill_cr@ + acq_goodwill_cr - impairment_cr + fx_goodwill_cr
goodwill_tc = goodwill_tc@ + acq_goodwill_tc - impairment_tc + fx_goodwill_tc
goodwill_ls = goodwill_ls@ + acq_goodwill_ls - impairment_ls + fx_goodwill_ls
goodwill = goodwill_cr + goodwill_tc + goodwill_ls
impairment = impairment_cr + impairment_tc + impairment_ls
fx_goodwill = fx_goodwill_cr + fx_goodwill_tc + fx_goodwill_ls
goodwill = goodwill@ + acq_goodwill - impairment + fx_goodwill
intangibles = intangibles@ + acq_intangibles - amortization + fx_intangibles
other_assets = other_assets@ - other_investing
current_assets = cash + receivables + inventories + prepaid
total_assets = current_assets + ppe + rou + goodwill + intangibles + other_assets
payables = payables@ + cf_payables + accrued_capex_change + acq_payables + fx_payables
compensation = compensation@ + cf_compensation + acq_compensation
deferred_revenue = deferred_revenue@ + cf_deferred_revenue + acq_deferred_revenue
long_term_deferred_revenue = deferred_revenue - current_deferred_revenue
warranty = warranty@ + cf_warranty
tax_payable = tax_payable@ + cf_tax_payable
other_accrued = other_accrued@ + cf_other_accrued + fx_other_accrued
other_long_term = other_long_term@ + cf_other_long_term
long_term_lease = lease_liability - current_lease
revolver = revolver@ + revolver_net
term_loan = term_loan@ + term_loan_repaid
notes_2026 = notes_2026@ + notes_redeemed
notes_2032 = notes_2032@ + notes_issued
finance_leases = finance_leases@ + new_finance_leases + finance_lease_paid
unamortized_costs = unamortized_costs@ - debt_costs_paid - debt_cost_amortization - debt_cost_write_off
principal = revolver + term_loan + notes_2026 + notes_2032 + finance_leases
total_debt = principal - unamortized_costs
long_term_debt = total_debt - current_debt
net_debt = total_debt - cash
pbo = pbo@ + service_cost + interest_cost + actuarial_loss - benefits
plan_assets = plan_assets@ + actual_return + contributions - benefits
pension = pbo - plan_assets
pension_oci_pretax = actual_return - expected_return - actuarial_loss + pension_loss_amortized
pension = pension@ + net_periodic_cost - contributions - pension_oci_pretax
pension_oci = pension_oci_pretax - pension_oci_tax
hedge_oci = hedge_pretax - hedge_tax
fx_current = fx_cash + fx_receivables + fx_inventories
translation = fx_current + fx_ppe + fx_goodwill + fx_intangibles - fx_payables - fx_other_accrued
oci = translation + pension_oci + hedge_oci
comprehensive_income = net_income + oci
deferred_tax = deferred_tax@ + deferred + pension_oci_tax + hedge_tax + acq_deferred_tax
accrued_current = compensation + current_deferred_revenue + warranty + tax_payable + other_accrued
current_liabilities = current_debt + payables + current_lease + accrued_current
long_term_1 = long_term_debt + long_term_lease + pension + deferred_tax
total_liabilities = current_liabilities + long_term_1 + long_term_deferred_revenue + other_long_term
apic = apic@ + stock_comp + option_proceeds + withheld_taxes
treasury = treasury@ + repurchases
retained = retained@ + net_income + dividends
aoci_translation = aoci_translation@ + translation
aoci_pension = aoci_pension@ + pension_oci
aoci_hedges = aoci_hedges@ + hedge_oci
aoci = aoci_translation + aoci_pension + aoci_hedges
equity = common_stock + apic + retained + aoci + treasury
equity = equity@ + comprehensive_income + dividends + repurchases + stock_comp + option_proceeds + withheld_taxes
total_liabilities_equity = total_liabilities + equity
total_assets = total_liabilities_equity
quick_assets = cash + receivables
dividends_paid = 0 - dividends
working_capital = current_assets - current_liabilities
warranty_settled = warranty@ + warranty_accruals + warranty_estimates - warranty
allowance = allowance@ + allowance_provision - allowance_written_off
gross_receivables = receivables + allowance
restructuring = restructuring_severance + restructuring_facility + asset_write_downs
restructuring_cash = restructuring_severance + restructuring_facility
restructuring_reserve = restructuring_reserve@ + restructuring_cash - restructuring_paid
lease_costs_1 = operating_lease_cost + short_term_lease + variable_lease
lease_cost = lease_costs_1 + finance_lease_amortization + finance_lease_interest
taxes_paid = current_tax - cf_tax_payable
shares_issued = shares_issued@ + shares_issued_plans
treasury_shares = treasury_shares@ + shares_repurchased
shares_outstanding = shares_issued - treasury_shares
diluted_shares = basic_shares + dilutive_shares
rsu_outstanding = rsu_outstanding@ + rsu_granted - rsu_vested - rsu_forfeited
options_outstanding = options_outstanding@ + options_granted - options_exercised - options_forfeited
staff = staff_us + staff_na + staff_europe + staff_asia
finished_goods = inventories + inventory_reserve - raw_materials - work_in_process
inventories = raw_materials + work_in_process + finished_goods - inventory_reserve
ppe_gross = land + buildings + machinery + service_fleet + construction
accumulated_depreciation = ppe_gross - ppe
customer_net = customer_gross - customer_accumulated
technology_net = technology_gross - technology_accumulated
trademarks = intangibles - customer_net - technology_net
finite_intangibles = customer_net + technology_net
intangibles = finite_intangibles + trademarks
dta = dta_inventory + dta_warranty + dta_pension + dta_deferred_revenue + dta_lease + dta_losses + dta_stock
dta_net = dta - dta_valuation
dtl = dta_net + deferred_tax
dtl_other = dtl - dtl_ppe - dtl_intangibles - dtl_rou
plan_other = plan_assets - plan_equities - plan_bonds
corporate_assets = total_assets - cr_assets - tc_assets - ls_assets
assets_geo_asia = ppe - assets_geo_us - assets_geo_na - assets_geo_europe
rpo = rpo_12_months + rpo_later
q4_net_sales = net_sales - q1_net_sales - q2_net_sales - q3_net_sales
q4_gross_profit = gross_profit - q1_gross_profit - q2_gross_profit - q3_gross_profit
q4_operating_income = operating_income - q1_operating_income - q2_operating_income - q3_operating_income
q4_net_income = net_income - q1_net_income - q2_net_income - q3_net_income
k_parent_expense = k_parent_sga + k_parent_interest - k_parent_intercompany - k_parent_tax_benefit
k_parent_subsidiaries = k_net_income + k_parent_expense
k_parent_subs_assets = k_equity + k_parent_debt + k_parent_liabilities - k_parent_cash - k_parent_other
k_parent_assets = k_parent_cash + k_parent_other + k_parent_subs_assets
k_parent_assets = k_equity + k_parent_debt + k_parent_liabilities
due_26 = term_26 + finance_26
due_27 = term_27 + finance_27
due_28 = term_28 + finance_28
due_29 = revolver_due + term_29 + finance_29
due_30 = finance_30 + 0
due_later = notes_due + finance_later
revolver_due = revolver_25 + 0
notes_due = notes_2032_25 + 0
due_total = due_26 + due_27 + due_28 + due_29 + due_30 + due_later
term_total = term_26 + term_27 + term_28 + term_29
finance_total = finance_26 + finance_27 + finance_28 + finance_29 + finance_30 + finance_later
lease_total = lease_26 + lease_27 + lease_28 + lease_29 + lease_30 + lease_later
lease_imputed = lease_total - lease_liability
amort_later = finite_intangibles - amort_26 - amort_27 - amort_28 - amort_29 - amort_30
purchase_total = purchase_26 + purchase_27 + purchase_28
revolver_available = revolver_size - revolver - letters_of_credit
liquidity = revolver_available + cash
litigation_accrual = litigation_low + 0
interest_paid = interest_expense - debt_cost_amortization - accrued_interest_change
settlement_addition = litigation_settled - litigation_accrual
litigation_excess = litigation_high - litigation_accrual
bf_proforma = net_sales + bf_before
organic_sales = net_sales - bf_sales
amended_29 = amended_term + finance_29
amended_moved = due_29 - amended_29
revolver_increase = amended_revolver_size - revolver_size
parent_debt = total_debt - finance_leases
pretax_before_impairment = pretax_income + impairment
product_cost_increase = cost_products - cost_products@
sga_before_acquisition = sga - acquisition_costs
operating_drag = amortization + restructuring + impairment + acquisition_costs
remaining_ls = ls_sales - bf_sales
tc_without_container = tc_sales - container_rail
error_eps = prior_eps_diluted - eps_diluted
bf_intangibles = bf_customer + bf_technology + bf_trademark
acq_intangibles = acq_small_intangibles + bf_intangibles
principal = due_total
term_loan = term_total
finance_leases = finance_total
current_debt = due_26
prior_cost_products = cost_products - error_warranty
prior_gross_profit = gross_profit + error_warranty
prior_operating_income = operating_income + error_warranty
prior_pretax = pretax_income + error_warranty
prior_tax = tax + error_tax
error_net = error_warranty - error_tax
prior_net_income = net_income + error_net
prior_net_income = prior_pretax - prior_tax
prior_warranty = warranty - error_warranty
prior_deferred_tax = deferred_tax + error_tax
prior_retained = retained + error_net
prior_equity = equity + error_net
"""


def _equations() -> list[tuple[str, list[tuple[int, str]]]]:
    """The text above as (left side, signed terms)."""
    parsed = []
    for line in EQUATIONS.strip().splitlines():
        left, right = line.split(" = ")
        words = ["+", *right.split()]
        pairs = zip(words[::2], words[1::2], strict=True)
        parsed.append((left, [(1 if sign == "+" else -1, term) for sign, term in pairs]))
    return parsed


def _value(figures: Figures, term: str, year: int) -> int | None:
    """A term's figure; `name@` is the balance a year earlier, `name_25`-like names without a series a fixed date."""
    if term.isdigit():
        return int(term)
    if term.endswith("@"):
        return figures.get(term[:-1], {}).get(year - 1)
    if term in ("revolver_25", "notes_2032_25"):
        return figures[term[:-3]][25] if year == 25 and 25 in figures.get(term[:-3], {}) else None
    return figures.get(term, {}).get(year)


def _total(figures: Figures, terms: Iterable[tuple[int, str]], year: int) -> int | None:
    """The signed sum of the terms, or None where one of them does not exist for that year."""
    total = 0
    for sign, term in terms:
        value = _value(figures, term, year)
        if value is None:
            return None
        total += sign * value
    return total


def share(part: int, whole: int) -> int:
    """part / whole rounded half away from zero, for whole > 0."""
    return (abs(part) * 2 + whole) // (2 * whole) * (1 if part >= 0 else -1)


def _rounded(figures: Figures, year: int) -> dict[str, int]:
    """The figures that come from a product or quotient, where rounding decides."""
    f = {name: series[year] for name, series in figures.items() if year in series}
    found: dict[str, int] = {}
    if year in YEARS:
        if "pretax_income" in f:
            found["tax_statutory"] = share(f["pretax_income"] * 21, 100)
        if "pension_oci_pretax" in f:
            found["pension_oci_tax"] = share(f["pension_oci_pretax"] * 25, 100)
        for name in ("inventories", "equity"):
            if year in figures.get(name, {}) and year - 1 in figures[name]:
                found[f"average_{name}"] = share(figures[name][year] + figures[name][year - 1], 2)
        found["hedge_tax"] = share(f["hedge_pretax"] * 25, 100)
        if "diluted_shares" in f and "net_income" in f:
            found["eps_basic"] = share(f["net_income"] * 10_000, f["basic_shares"])
            found["eps_diluted"] = share(f["net_income"] * 10_000, f["diluted_shares"])
        found["repurchase_price"] = share(-f["repurchases"] * 10_000, f["shares_repurchased"])
        found["dividend_per_share"] = {23: 68, 24: 76, 25: 84}[year]
        if "net_income" in f:
            found["k_net_income"] = f["net_income"] * 100 + f["k_parent_rounding"]
    if year in (24, 25) and "equity" in f:
        found["k_equity"] = f["equity"] * 100 + f["k_equity_rounding"]
    if year == 24 and "prior_net_income" in f and "diluted_shares" in f:
        found["prior_eps_diluted"] = share(f["prior_net_income"] * 10_000, f["diluted_shares"])
    return found


def build() -> Figures:
    """Every figure of the report, by name and by the last two digits of the fiscal year."""
    figures: Figures = {name: dict(zip(YEARS, values, strict=True)) for name, values in FLOWS.items()}
    figures |= {name: {22: value} for name, value in OPENING.items()}
    figures |= {name: dict(zip((22, 23, 24, 25), values, strict=True)) for name, values in BALANCES.items()}
    figures |= {name: dict(zip((24, 25), values, strict=True)) for name, values in DETAIL.items()}
    figures |= {name: {25: value} for name, value in SCHEDULES.items()}
    figures |= {name: {24: value} for name, value in REVISION.items()}
    figures["common_stock"] = dict.fromkeys((22, 23, 24, 25), OPENING["common_stock"])
    figures["accrued_capex"] = dict(zip((22, 23, 24, 25), (72, 96, 61, 138), strict=True))
    figures["acq_small_intangibles"] = {25: 0}
    equations = _equations()
    for year in (22, 23, 24, 25):
        for _ in range(8):  # a few passes let an equation use a figure that a later one defines
            for name, value in _rounded(figures, year).items():
                figures.setdefault(name, {})[year] = value
            for left, terms in equations:
                total = _total(figures, terms, year)
                if total is not None and year not in figures.get(left, {}):
                    figures.setdefault(left, {})[year] = total
        if year == 22:  # the opening balance sheet balances through retained earnings
            used = sum(figures[name][22] for name in ("common_stock", "apic", "aoci", "treasury", "total_liabilities"))
            figures["retained"] = {22: figures["total_assets"][22] - used}
            for left, terms in equations:
                total = _total(figures, terms, year)
                if total is not None:
                    figures.setdefault(left, {}).setdefault(year, total)
    return figures


def check(figures: Figures) -> None:
    """Raise `Mismatch` naming each figure that disagrees with the ones it is made of."""
    wrong: list[str] = []
    for year in (22, 23, 24, 25):
        for left, terms in _equations():
            total = _total(figures, terms, year)
            value = figures.get(left, {}).get(year)
            if total is not None and total != value:
                wrong.append(f"{left} of fiscal 20{year} is {value}, its parts give {total}")
        for name, value in _rounded(figures, year).items():
            if figures[name][year] != value:
                wrong.append(f"{name} of fiscal 20{year} is {figures[name][year]}, computed {value}")
    for year in YEARS:
        declared = share(figures["dividend_per_share"][year] * figures["basic_shares"][year], 10_000)
        paid = -figures["dividends"][year]
        if abs(declared - paid) > 1:  # paid on four record dates, not on the weighted average
            wrong.append(f"dividends of fiscal 20{year} are {paid}, shares give {declared}")
    wrong += [
        f"debt of the parent in fiscal 20{year} is not the group's but finance leases"
        for year in (24, 25)
        if share(figures["k_parent_debt"][year], 100) != figures["parent_debt"][year]
    ]
    if wrong:
        raise Mismatch("; ".join(wrong))

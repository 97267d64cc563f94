"""Categories of subjects, as defined by the authors of a set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

# C-Eval (arXiv 2305.08322, table 6 and section 2.4): four categories, and eight of their subjects that are "hard".
CEVAL = {
    "stem": "computer_network operating_system computer_architecture college_programming college_physics "
    "college_chemistry advanced_mathematics probability_and_statistics discrete_mathematics electrical_engineer "
    "metrology_engineer high_school_mathematics high_school_physics high_school_chemistry high_school_biology "
    "middle_school_mathematics middle_school_biology middle_school_physics middle_school_chemistry veterinary_medicine",
    "social sciences": "college_economics business_administration marxism mao_zedong_thought education_science "
    "teacher_qualification high_school_politics high_school_geography middle_school_politics middle_school_geography",
    "humanities": "modern_chinese_history ideological_and_moral_cultivation logic law chinese_language_and_literature "
    "art_studies professional_tour_guide legal_professional high_school_chinese high_school_history "
    "middle_school_history",
    "other": "civil_servant sports_science plant_protection basic_medicine clinical_medicine "
    "urban_and_rural_planner accountant fire_engineer environmental_impact_assessment_engineer tax_accountant "
    "physician",
    "hard": "advanced_mathematics discrete_mathematics probability_and_statistics college_chemistry college_physics "
    "high_school_mathematics high_school_chemistry high_school_physics",
}
# CMMLU (arXiv 2306.09212, appendix): four categories, and fifteen of their subjects that are "China specific".
CMMLU = {
    "stem": "anatomy astronomy college_actuarial_science college_engineering_hydrology college_mathematics "
    "college_medical_statistics computer_science conceptual_physics electrical_engineering elementary_mathematics "
    "genetics high_school_biology high_school_chemistry high_school_mathematics high_school_physics machine_learning "
    "virology",
    "humanities": "arts chinese_history chinese_literature college_law global_facts international_law jurisprudence "
    "logical marxist_theory philosophy professional_law world_history world_religions",
    "social sciences": "ancient_chinese business_ethics chinese_civil_service_exam chinese_food_culture "
    "chinese_foreign_policy chinese_teacher_qualification college_education economics education elementary_chinese "
    "ethnology high_school_geography high_school_politics journalism management marketing modern_chinese "
    "professional_accounting professional_psychology public_relations security_study sociology",
    "other": "agronomy chinese_driving_rule clinical_knowledge college_medicine computer_security "
    "construction_project_management elementary_commonsense elementary_information_and_technology food_science "
    "human_sexuality legal_and_moral_basis nutrition professional_medicine sports_science "
    "traditional_chinese_medicine",
    "China specific": "ancient_chinese chinese_civil_service_exam chinese_driving_rule chinese_food_culture "
    "chinese_foreign_policy chinese_history chinese_literature chinese_teacher_qualification "
    "construction_project_management elementary_chinese elementary_commonsense ethnology high_school_politics "
    "modern_chinese traditional_chinese_medicine",
}
# MMLU (arXiv 2009.03300, as hendrycks/test counts them; lm-eval has anatomy in STEM, where they have it in "other").
MMLU = {
    "stem": "abstract_algebra astronomy college_biology college_chemistry college_computer_science "
    "college_mathematics college_physics computer_security conceptual_physics electrical_engineering "
    "elementary_mathematics high_school_biology high_school_chemistry high_school_computer_science "
    "high_school_mathematics high_school_physics high_school_statistics machine_learning",
    "humanities": "formal_logic high_school_european_history high_school_us_history high_school_world_history "
    "international_law jurisprudence logical_fallacies moral_disputes moral_scenarios philosophy prehistory "
    "professional_law world_religions",
    "social sciences": "econometrics high_school_geography high_school_government_and_politics "
    "high_school_macroeconomics high_school_microeconomics high_school_psychology human_sexuality "
    "professional_psychology public_relations security_studies sociology us_foreign_policy",
    "other": "anatomy business_ethics clinical_knowledge college_medicine global_facts human_aging management "
    "marketing medical_genetics miscellaneous nutrition professional_accounting professional_medicine virology",
}
TABLES = {"ceval-valid": CEVAL, "baichuan_ceval": CEVAL, "cmmlu": CMMLU, "baichuan_mmlu": MMLU}


def categories(name: str, subjects: Sequence[str], members: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return {category: subjects} of a task. members: the groups or subjects in each group of the task."""
    if name in TABLES:
        named = {category: {f"{name}_{part}" for part in parts.split()} for category, parts in TABLES[name].items()}
    else:
        named = {group: _leaves(group, members) for group in members if group != name}
    found = {category: [subject for subject in subjects if subject in parts] for category, parts in named.items()}
    return {category: parts for category, parts in found.items() if parts}


def _leaves(group: str, members: Mapping[str, Sequence[str]]) -> set[str]:
    parts = members.get(group)
    return {group} if parts is None else {leaf for part in parts for leaf in _leaves(part, members)}

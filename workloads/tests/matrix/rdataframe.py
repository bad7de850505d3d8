# SPDX-License-Identifier: Apache-2.0
"""The reduction by ROOT: `python rdataframe.py FILE…` prints a line of JSON for all of them together.

Runs on the Python that has ROOT; shares no code with the package. The cuts are C++ and stand here alone. Columns that a file
does not have (``--without isolation,global``) cut nothing."""

from __future__ import annotations

import argparse
import json
import warnings

warnings.filterwarnings("ignore", message="(?s).*alpha stage")
import ROOT  # noqa: E402

CUTS = r"""
#include <cmath>
#include <vector>

// The invariant mass of the two hardest selected muons, in GeV; or which cut removes the event, as a negative number.
enum Removed { kTwoMuons = -1, kLeadingPt = -2, kLeadingEta = -3, kLeadingIsolation = -4, kOppositeSign = -5 };

template <class Floats, class Charges, class Flags>
double dimuon(const Floats &pt, const Floats &eta, const Floats &phi, const Charges &charge, const Floats &iso, const Flags &global)
{
   long first = -1, second = -1;
   for (std::size_t i = 0; i < pt.size(); ++i) {
      if (!(double(pt[i]) > 10.0) || !(std::abs(double(eta[i])) < 2.4) || !(double(iso[i]) < 0.5) || !global[i])
         continue;
      if (first < 0 || pt[i] > pt[first]) {
         second = first;
         first = i;
      } else if (second < 0 || pt[i] > pt[second]) {
         second = i;
      }
   }
   if (second < 0)
      return kTwoMuons;
   if (!(double(pt[first]) > 25.0))
      return kLeadingPt;
   if (!(std::abs(double(eta[first])) < 2.1))
      return kLeadingEta;
   if (!(double(iso[first]) < 0.12))
      return kLeadingIsolation;
   if (charge[first] * charge[second] >= 0)
      return kOppositeSign;
   const double deta = double(eta[first]) - double(eta[second]);
   const double dphi = double(phi[first]) - double(phi[second]);
   return std::sqrt(2.0 * double(pt[first]) * double(pt[second]) * (std::cosh(deta) - std::cos(dphi)));
}
"""


#: The cuts on events, by the package's names.
REMOVED = {
    "two_muons": "kTwoMuons",
    "leading_pt": "kLeadingPt",
    "leading_eta": "kLeadingEta",
    "leading_isolation": "kLeadingIsolation",
    "opposite_sign": "kOppositeSign",
}


def reduce(tree: str, files: list[str], without: list[str]) -> dict[str, float]:
    """Events, pairs, the sum of their masses in GeV, and by the name of each cut the events that it removes."""
    isolation = "ROOT::RVec<float>(Muon_pt.size(), 0.f)" if "isolation" in without else "Muon_pfRelIso04_all"
    is_global = "ROOT::RVec<int>(Muon_pt.size(), 1)" if "global" in without else "Muon_isGlobal"
    frame = ROOT.RDataFrame(tree, files)
    masses = frame.Define(
        "dimuon_mass", f"dimuon(Muon_pt, Muon_eta, Muon_phi, Muon_charge, {isolation}, {is_global})"
    )
    asked = {
        "events": masses.Count(),
        "pairs": masses.Filter("dimuon_mass >= 0").Count(),
        "mass_sum": masses.Filter("dimuon_mass >= 0").Sum("dimuon_mass"),
        **{name: masses.Filter(f"dimuon_mass == {code}").Count() for name, code in REMOVED.items()},
    }
    return {name: value.GetValue() for name, value in asked.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="+")
    parser.add_argument("--tree", default="Events")
    parser.add_argument("--without", default="", help="isolation, global: with a comma between")
    asked = parser.parse_args()
    ROOT.gInterpreter.Declare(CUTS)
    told = reduce(asked.tree, asked.files, asked.without.split(","))
    print(json.dumps({**told, "root": str(ROOT.__version__)}))


if __name__ == "__main__":
    main()

using Qkd.Timing.Clocks;
using Qkd.Timing.Formats;

namespace Qkd.Cli.Tags;

/// <summary>What was found of a sender's clock.</summary>
internal sealed record SyncReport(
    string State, SlotClock? Clock, double NominalPeriod, long? FirstSlot, double? LockedAfter, double Jitter, double? PhaseError, double? LightShare,
    double? Sigmas, int? Losses, int? Slips, long? MissingMarkers, long? ExtraMarkers)
{
    /// <summary>Prints it.</summary>
    public void Write(bool json, TagFormatException? fault)
    {
        if (json)
        {
            Console.WriteLine(JsonOutput.Serialize(new
            {
                State,
                PeriodPs = Clock?.PeriodPicoseconds,
                DeviationPpm = Clock?.DeviationPpm(NominalPeriod),
                DriftPpmPerS = Clock?.DriftPpmPerSecond,
                FirstSlot,
                LockedAfterS = LockedAfter,
                JitterPs = Clock is null ? (double?)null : Jitter,
                PhaseErrorPs = PhaseError,
                LightShare,
                NumberingSigmas = Sigmas > 0 ? Sigmas : null,
                Losses,
                Slips,
                MissingMarkers,
                ExtraMarkers,
                Error = fault?.Message,
                ErrorByte = fault?.ByteOffset,
            }));
            return;
        }

        var facts = new FactTable();
        facts.Row("state", State);
        if (Clock is { } found)
        {
            facts.Row("slot", FormattableString.Invariant($"{found.PeriodPicoseconds:0.000000} ps: {found.DeviationPpm(NominalPeriod):+0.0000;-0.0000} ppm"));
            facts.Row("drift", FormattableString.Invariant($"{found.DriftPpmPerSecond:+0.0000;-0.0000} ppm/s"));
            facts.Row("jitter of the tags", FormattableString.Invariant($"{Jitter:0.#} ps"));
        }

        if (FirstSlot is { } first)
        {
            facts.Row("first tag's slot", FormattableString.Invariant($"{first}"));
        }

        if (LockedAfter is { } after)
        {
            facts.Row("locked after", FormattableString.Invariant($"{after:0.###} s, the numbering {Sigmas:0.0} standard deviations clear"));
        }

        if (PhaseError is { } phase && Clock is not null)
        {
            facts.Row("error of the clock", FormattableString.Invariant($"{phase:0.0} ps (its own estimate)"));
            facts.Row("light", FormattableString.Invariant($"{100 * LightShare:0.#} % of the tags"));
        }

        if (Losses > 0 || Slips > 0)
        {
            facts.Row("lost", $"{Losses} times; {Slips} slips of the numbering put right");
        }

        if (MissingMarkers is { } missing)
        {
            facts.Row("markers", $"{missing} missing, {ExtraMarkers} that were none");
        }

        facts.Write();
    }
}

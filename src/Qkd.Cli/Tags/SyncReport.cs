using Qkd.Timing.Clocks;
using Qkd.Timing.Formats;
using Spectre.Console;

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

        var table = new Table().Border(TableBorder.Rounded).HideHeaders().AddColumns("", "");
        Row("state", State);
        if (Clock is { } found)
        {
            Row("slot", FormattableString.Invariant($"{found.PeriodPicoseconds:0.000000} ps: {found.DeviationPpm(NominalPeriod):+0.0000;-0.0000} ppm"));
            Row("drift", FormattableString.Invariant($"{found.DriftPpmPerSecond:+0.0000;-0.0000} ppm/s"));
            Row("jitter of the tags", FormattableString.Invariant($"{Jitter:0.#} ps"));
        }

        if (FirstSlot is { } first)
        {
            Row("first tag's slot", FormattableString.Invariant($"{first}"));
        }

        if (LockedAfter is { } after)
        {
            Row("locked after", FormattableString.Invariant($"{after:0.###} s, the numbering {Sigmas:0.0} standard deviations clear"));
        }

        if (PhaseError is { } phase && Clock is not null)
        {
            Row("error of the clock", FormattableString.Invariant($"{phase:0.0} ps (its own estimate)"));
            Row("light", FormattableString.Invariant($"{100 * LightShare:0.#} % of the tags"));
        }

        if (Losses > 0 || Slips > 0)
        {
            Row("lost", $"{Losses} times; {Slips} slips of the numbering put right");
        }

        if (MissingMarkers is { } missing)
        {
            Row("markers", $"{missing} missing, {ExtraMarkers} that were none");
        }

        AnsiConsole.Write(table);

        void Row(string name, string value) => table.AddRow(name, Markup.Escape(value));
    }
}

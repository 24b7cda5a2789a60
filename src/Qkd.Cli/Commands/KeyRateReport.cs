using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Qkd.Distillation;
using Spectre.Console;

namespace Qkd.Cli.Commands;

/// <summary>What <c>qkd keyrate</c> prints.</summary>
internal static class KeyRateReport
{
    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        WriteIndented = true,
        Converters = { new NullWhereNotFinite() },
    };

    /// <summary>A bound's name for people.</summary>
    public static string Title(KeyBoundKind kind) => kind switch
    {
        KeyBoundKind.TupkaryTwoDecoy => "two decoys (Tupkary)",
        KeyBoundKind.WiesemannOneDecoy => "one decoy (Wiesemann)",
        KeyBoundKind.LimTwoDecoy => "two decoys (Lim)",
        KeyBoundKind.RuscaOneDecoy => "one decoy (Rusca)",
        KeyBoundKind.Tomamichel => "single photons (Tomamichel)",
        _ => "pairs (Lim, Xu, Pan, Ekert)",
    };

    public static string Text(JsonObject report) => report.ToJsonString(Json);

    /// <summary>A bound with all its intermediates; its length is 0 where there is no key.</summary>
    public static JsonObject Describe(KeyBound bound)
    {
        var all = JsonSerializer.SerializeToNode(bound, bound.GetType(), Json)!.AsObject();
        var report = new JsonObject
        {
            ["bound"] = bound.Name,
            ["secret_length"] = Math.Max(0, bound.SecretLength),
            ["longest_acceptable"] = bound.LongestAcceptable,
            ["stated_length"] = bound.StatedLength,
            ["reason"] = bound.Reason,
            ["security_parameter"] = bound.SecurityParameter,
            ["phase_error_rate"] = Finite(bound.PhaseErrorRate),
        };
        foreach (var (name, value) in all.Where(member => member.Key != "name" && !report.ContainsKey(member.Key)).ToList())
        {
            report[name] = value?.DeepClone();
        }

        return report;
    }

    /// <summary>A sweep, one row a bound and length.</summary>
    public static JsonObject Describe(KeyRateSweep sweep, IEnumerable<KeyRatePoint> points) => new()
    {
        ["bounds"] = new JsonArray([.. sweep.Kinds.Select(kind => (JsonNode?)Name(kind))]),
        ["attenuation_db_per_km"] = sweep.DecibelsPerKilometre,
        ["receiver_loss_db"] = sweep.Link.ReceiverLossDecibels,
        ["efficiency"] = sweep.Link.DetectorEfficiency,
        ["dark_counts"] = sweep.Link.DarkCountProbability,
        ["misalignment"] = sweep.Link.MisalignmentError,
        ["afterpulse"] = sweep.Link.AfterpulseProbability,
        ["block"] = sweep.Settings.BlockSize,
        ["block_unit"] = sweep.Settings.Unit == BlockUnit.Pulses ? "pulses" : "key-bits",
        ["ec_efficiency"] = sweep.Settings.ErrorCorrectionEfficiency,
        ["optimised"] = sweep.Source is null,
        ["sweep"] = new JsonArray([.. points.Select(Row)]),
    };

    /// <summary>A bound for people.</summary>
    public static Table Table(JsonObject bound)
    {
        var table = new Table().Border(TableBorder.Rounded).HideHeaders().AddColumns("", "");
        table.Columns[1].RightAligned();
        foreach (var (name, value) in bound)
        {
            if (name != "reason" || value!.GetValue<string>().Length > 0)
            {
                table.AddRow(Markup.Escape(name.Replace('_', ' ')), name == "secret_length" ? $"[green]{Readable(value)}[/]" : Markup.Escape(Readable(value)));
            }
        }

        return table;
    }

    /// <summary>A sweep for people.</summary>
    public static Table Table(KeyRateSweep sweep, IEnumerable<KeyRatePoint> points)
    {
        var seconds = sweep.Link.RepetitionRateHertz > 0;
        var table = new Table().Border(TableBorder.Rounded).AddColumns("bound", "km", "dB", "bits/pulse");
        table.AddColumns(seconds ? ["bits/s", "bits/key bit"] : ["bits/key bit"]);
        table.AddColumns("QBER", "phase errors", "mu", "p", "key basis");
        foreach (var column in table.Columns.Skip(1).Take(seconds ? 7 : 6))
        {
            column.RightAligned();
        }

        foreach (var (kind, kilometres, link, rate) in points)
        {
            var key = rate.SecretBits > 0;
            List<string> cells = [Title(kind), Fixed(kilometres, "0.###"), Fixed(link.LossDecibels, "0.0"), key ? Fixed(rate.SecretBitsPerPulse, "0.000e-0") : "none"];
            if (seconds)
            {
                cells.Add(Fixed(rate.SecretBitsPerPulse * link.RepetitionRateHertz, "#,0"));
            }

            cells.Add(Fixed(rate.SecretBitsPerKeyBit, "0.000"));
            cells.Add(Fixed(100 * rate.KeyErrorRate, "0.00' %'"));
            cells.Add(key ? Fixed(100 * rate.Bound.PhaseErrorRate, "0.00' %'") : "");
            cells.Add(string.Join(' ', rate.Source.Means.Select(mean => Fixed(mean, "0.####"))));
            cells.Add(string.Join(' ', rate.Source.Probabilities.Select(p => Fixed(p, "0.000"))));
            cells.Add(Fixed(rate.Source.KeyBasis, "0.000"));
            table.AddRow([.. cells.Select(Markup.Escape)]);
        }

        return table;
    }

    public static string Fixed(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);

    private static JsonNode Row(KeyRatePoint point)
    {
        var rate = point.Rate;
        var row = new JsonObject
        {
            ["bound"] = Name(point.Kind),
            ["km"] = point.Kilometres,
            ["loss_db"] = point.Link.LossDecibels,
            ["secret_bits_per_pulse"] = rate.SecretBitsPerPulse,
            ["secret_bits_per_key_bit"] = rate.SecretBitsPerKeyBit,
            ["secret_length"] = rate.SecretBits,
            ["stated_length"] = rate.Bound.StatedLength,
            ["reason"] = rate.Bound.Reason,
            ["pulses"] = Finite(rate.Pulses),
            ["qber"] = rate.KeyErrorRate,
            ["phase_error_rate"] = Finite(rate.Bound.PhaseErrorRate),
            ["leaked_bits"] = Finite(rate.Bound.LeakedBits),
            ["security_parameter"] = rate.Bound.SecurityParameter,
            ["mu"] = List(rate.Source.Means),
            ["p"] = List(rate.Source.Probabilities),
            ["key_basis"] = rate.Source.KeyBasis,
            ["key_counts"] = List(rate.KeyCounts),
            ["key_errors"] = List(rate.KeyErrors),
            ["test_counts"] = List(rate.TestCounts),
            ["test_errors"] = List(rate.TestErrors),
        };
        if (point.BitsPerSecond is { } bits)
        {
            row["secret_rate_bps"] = bits;
        }

        if (point.Kind == KeyBoundKind.LimXuPanEkert)
        {
            row["test_share"] = rate.Source.TestShare;
            row["nu"] = rate.Source.KeyDeviation;
            row["xi"] = rate.Source.TotalDeviation;
        }

        return row;
    }

    private static string Name(KeyBoundKind kind) => KeyRateOptions.Kinds.First(pair => pair.Value == kind).Key;

    private static JsonArray List<T>(IEnumerable<T> values) => new([.. values.Select(value => (JsonNode?)JsonValue.Create(value))]);

    private static double? Finite(double value) => double.IsFinite(value) ? value : null;

    private static string Readable(JsonNode? value) => value switch
    {
        null => "–",
        JsonValue text when text.TryGetValue<string>(out var words) => words,
        JsonValue whole when whole.TryGetValue<long>(out var count) => count.ToString("N0", CultureInfo.InvariantCulture),
        JsonValue number when number.TryGetValue<double>(out var real) => Math.Abs(real) switch
        {
            0 => "0",
            >= 1e3 and < 1e15 => real.ToString("N3", CultureInfo.InvariantCulture),
            _ => real.ToString("G9", CultureInfo.InvariantCulture),
        },
        _ => value.ToJsonString(),
    };

    /// <summary>JSON has no word for what is not finite.</summary>
    private sealed class NullWhereNotFinite : JsonConverter<double>
    {
        public override double Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => reader.GetDouble();

        public override void Write(Utf8JsonWriter writer, double value, JsonSerializerOptions options)
        {
            if (double.IsFinite(value))
            {
                writer.WriteNumberValue(value);
            }
            else
            {
                writer.WriteNullValue();
            }
        }
    }
}

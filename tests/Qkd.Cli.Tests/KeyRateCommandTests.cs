using System.Text.Json;
using System.Xml.Linq;
using Shouldly;

namespace Qkd.Cli.Tests;

/// <summary><c>qkd keyrate</c> as a user calls it. The numbers were worked out with 40 decimal places.</summary>
public sealed class KeyRateCommandTests
{
    private const string Tupkary = "keyrate --bound tupkary-2decoy --mu .5,.1,2e-4 --p .6,.3,.1 --key-counts 7275000,729000,800"
        + " --test-counts 808000,81000,90 --test-errors 8080,830,45 --leak 753300";

    private const string Lim = "keyrate --bound lim-2decoy --mu .5,.1,2e-4 --p .6,.3,.1 --key-counts 7275000,729000,800"
        + " --test-counts 808000,81000,90 --test-errors 8080,830,45 --leak 753300 --eps-sec 1e-9 --eps-cor 1e-15";

    private const string OneDecoy = " --mu .5,.15 --p .7,.3 --key-counts 8860000,1140000 --key-errors 88600,22800 --test-counts 984000,126000"
        + " --test-errors 9840,2520 --leak 1023808 --eps-sec 1e-9 --eps-cor 1e-15";

    private const string Tenth = " --mu .5,.15 --p .7,.3 --key-counts 886000,114000 --key-errors 8860,2280 --test-counts 98400,12600"
        + " --test-errors 984,252 --leak 102381 --eps-sec 1e-9 --eps-cor 1e-15";

    private const string Tomamichel = "keyrate --bound tomamichel --n 1000000 --k 1e5 --qber .01 --leak 88873 --eps-sec 1e-10 --eps-cor 1e-15";

    private const string Pairs = "keyrate --bound lim-xu-pan-ekert --m 10000 --k 3107 --qber .02 --nu .0941 --xi .0731 --eps 1e-10 --t 36 --leak 1170";

    public static TheoryData<string, string, double> Vectors => new()
    {
        { Tupkary + " --eps 1e-10", "secret_length", 2281948.151558376 },
        { Tupkary + " --eps 1e-10", "key_single_photons", 4426816.541031221 },
        { Tupkary + " --eps-d 1e-10 --eps-a 1e-10 --eps-b 1e-10 --eps-c 1e-10 --eps-pa 1e-10 --eps-ev 1e-10", "phase_error_rate", .056730569812608184 },
        { Tupkary + " --delta1 .03980190594484209 --delta2 .019801970396034655", "secret_length", 1582642.2765317475 },
        { Tupkary + " --delta1 .03980190594484209 --delta2 .019801970396034655", "phase_error_rate", .10104447237983688 },
        { Tupkary.Replace("--bound", "--protocol", StringComparison.Ordinal), "test_single_photon_errors", 18583.89673257165 },
        { Lim, "secret_length", 2769509.2222381460006 },
        { Lim, "key_single_photons", 4568710.3078931087979 },
        { Lim, "phase_error_rate", .037107836166443639389 },
        { "keyrate --bound rusca-1decoy" + OneDecoy, "secret_length", 3625642.9146534387808 },
        { "keyrate --bound rusca-1decoy" + Tenth, "secret_length", 271084.1125600338889 },
        { "keyrate --bound wiesemann-1decoy" + OneDecoy, "secret_length", 3480578.6069467784992 },
        { "keyrate --bound wiesemann-1decoy" + Tenth, "secret_length", 237912.27247066552232 },
        { Tomamichel, "secret_length", 735073.4819959564723 },
        { Tomamichel, "sampling_deviation", .016387076723370945354 },
        { Pairs, "secret_length", 2084.9414846471220703 },
        { Pairs, "amplification_epsilon", 7.9679822507958598766e-12 },
    };

    [Theory]
    [MemberData(nameof(Vectors))]
    public async Task Each_bound_gives_its_number(string line, string member, double expected)
    {
        var report = await QkdCommand.JsonAsync(line);
        report.GetProperty(member).GetDouble().ShouldBe(expected, 1e-9 * expected);
        var stated = report.GetProperty("stated_length").GetInt64();
        (stated % 8).ShouldBe(0);
        ((double)stated).ShouldBeInRange(report.GetProperty("secret_length").GetDouble() - 20, report.GetProperty("secret_length").GetDouble() - 9);
        report.GetProperty("reason").GetString().ShouldBe("");
        report.GetProperty("security_parameter").GetDouble().ShouldBeInRange(1e-11, 1e-8);
    }

    [Fact]
    public async Task For_a_person_it_is_a_table()
    {
        var run = await QkdCommand.RunAsync(Tupkary);
        run.ExitCode.ShouldBe(0);
        run.Error.ShouldBe("");
        run.Output.ShouldContain("2,281,948.152");
        run.Output.ShouldContain("phase error rate");
    }

    [Fact]
    public async Task No_key_is_a_length_of_0_with_a_reason_and_no_failure()
    {
        foreach (var hopeless in new[]
        {
            Tupkary.Replace("8080,830,45", "400000,40000,45", StringComparison.Ordinal),
            Lim.Replace("7275000,729000,800", "0,0,0", StringComparison.Ordinal),
            Tomamichel.Replace("--qber .01", "--qber .5", StringComparison.Ordinal),
            Tupkary + " --delta2 1",
        })
        {
            var report = await QkdCommand.JsonAsync(hopeless);
            report.GetProperty("secret_length").GetDouble().ShouldBe(0);
            report.GetProperty("stated_length").GetInt64().ShouldBe(0);
            report.GetProperty("reason").GetString().ShouldNotBeNullOrEmpty();
        }
    }

    [Fact]
    public async Task Intervals_of_the_intensities_cost_key() =>
        (await QkdCommand.JsonAsync(Lim + " --mu-uncertainty .02")).GetProperty("secret_length").GetDouble().ShouldBeInRange(1, 2.7e6);

    [Theory]
    [InlineData(1, Tupkary + " --eps 0", "failure probability")]
    [InlineData(1, "keyrate --mu .5,.1,2e-4 --p .6,.3,.2 --key-counts 1,1,1 --test-counts 1,1,1 --test-errors 0,0,0 --leak 0", "add up to 1")]
    [InlineData(1, "keyrate --mu .5,.1,2e-4 --p .6,.3,.1 --key-counts 1,1,1 --test-counts 1,1,1 --test-errors 0,2,0 --leak 0", "more test errors than counts")]
    [InlineData(1, "keyrate --mu .5,.1,2e-4 --p .6,.3,.1 --key-counts 1,1,1 --key-errors 2,0,0 --test-counts 1,1,1 --test-errors 0,0,0 --leak 0", "more key errors than counts")]
    [InlineData(1, "keyrate --mu .5,.1,2e-4 --p .6,.3,.1 --key-counts -1,1,1 --test-counts 1,1,1 --test-errors 0,0,0 --leak 0", "no counts")]
    [InlineData(1, "keyrate --bound lim-xu-pan-ekert --m 10000 --k 3107 --qber .02 --nu .0731 --xi .0941 --eps 1e-10 --t 36 --leak 1170", "ξ")]
    [InlineData(1, "keyrate --sweep-km 0:10:5 --efficiency 2", "efficiency")]
    [InlineData(1, "keyrate --sweep-km 50 --plot /nowhere/at/all/rate.png", "/nowhere/at/all")]
    [InlineData(2, "keyrate", "--mu")]
    [InlineData(2, "keyrate --bound gllp", "'gllp' is no bound")]
    [InlineData(2, Tupkary + " --nonsense", "--nonsense")]
    [InlineData(2, Tupkary + " --eps-sec 1e-9", "--eps-sec")]
    [InlineData(2, Tupkary + " --eps x", "--eps is 'x'")]
    [InlineData(2, Tupkary + " --efficiency .1", "--sweep-km")]
    [InlineData(2, Tupkary + " --plot rate.png", "--sweep-km")]
    [InlineData(2, Tomamichel + " --mu .5,.1,2e-4", "single photons or pairs alone")]
    [InlineData(2, "keyrate --bound wiesemann-1decoy --mu .5,.15,.1 --p .7,.3", "--mu is '.5,.15,.1'; it must be 2 numbers")]
    [InlineData(2, "keyrate --bound tomamichel --n 1.5 --k 1e5 --qber .01 --leak 88873", "whole numbers")]
    [InlineData(2, "keyrate --sweep-km 10:0:5", "A:B:STEP")]
    [InlineData(2, "keyrate --sweep-km 0:10:0", "A:B:STEP")]
    [InlineData(2, "keyrate --sweep-km far", "A:B:STEP")]
    [InlineData(2, "keyrate --sweep-km 0:10:5 --leak 5", "no place in a sweep")]
    [InlineData(2, "keyrate --sweep-km 0:10:5 --mu .5,.1,2e-4", "--optimise false")]
    [InlineData(2, "keyrate --sweep-km 0:10:5 --optimise false", "--mu is missing")]
    [InlineData(2, "keyrate --sweep-km 0:10:5 --plot rate.pdf", ".png or .svg")]
    [InlineData(2, "keyrate --sweep-km 0:10:5 --receiver biased", "passive or active")]
    public async Task What_makes_no_sense_is_one_sentence_and_an_exit_code(int code, string line, string says)
    {
        var run = await QkdCommand.RunAsync(line);
        run.ExitCode.ShouldBe(code, run.Output + run.Error);
        run.Output.ShouldBe("");
        run.Error.ShouldContain(says);
        run.Error.ShouldNotContain("   at ");
        run.Error.Trim().Split('\n').Length.ShouldBeLessThanOrEqualTo(2);
    }

    [Fact]
    public async Task A_sweep_falls_with_distance_and_ends()
    {
        var report = await QkdCommand.JsonAsync("keyrate --bound tupkary-2decoy,wiesemann-1decoy --sweep-km 0:250:25 --repetition-rate 1e9 --dead-time-ns 50");
        var rows = report.GetProperty("sweep").EnumerateArray().ToList();
        rows.Count.ShouldBe(22);
        foreach (var bound in rows.GroupBy(row => row.GetProperty("bound").GetString()))
        {
            double[] rates = [.. bound.Select(row => row.GetProperty("secret_bits_per_pulse").GetDouble())];
            rates[0].ShouldBeGreaterThan(1e-3);
            rates.Zip(rates.Skip(1)).ShouldAllBe(pair => pair.Second < pair.First || (pair.First == 0 && pair.Second == 0));
            rates[^1].ShouldBe(0);
            bound.Select(row => row.GetProperty("km").GetDouble()).ShouldBe(Enumerable.Range(0, 11).Select(i => 25.0 * i));
        }

        var first = rows[0];
        first.GetProperty("secret_rate_bps").GetDouble().ShouldBe(1e9 * first.GetProperty("secret_bits_per_pulse").GetDouble(), 1);
        first.GetProperty("mu").GetArrayLength().ShouldBe(3);
        first.GetProperty("p").EnumerateArray().Sum(p => p.GetDouble()).ShouldBe(1, 1e-12);
    }

    [Fact]
    public async Task A_sweep_with_given_source_settings_gives_no_more_than_the_best()
    {
        const string link = "keyrate --bound lim-2decoy --sweep-km 40:60:20 --receiver active --afterpulse .01 --eps-sec-per-bit 1e-15 --misalignment .005";
        var best = await QkdCommand.JsonAsync(link);
        var given = await QkdCommand.JsonAsync(link + " --optimise false --mu .45,.2,2e-4 --p .4,.4,.2 --key-basis .8");
        Rates(given).Zip(Rates(best)).ShouldAllBe(pair => pair.First > 0 && pair.First < pair.Second);
        static IEnumerable<double> Rates(JsonElement report) => report.GetProperty("sweep").EnumerateArray().Select(row => row.GetProperty("secret_bits_per_pulse").GetDouble());
    }

    [Fact]
    public async Task A_plot_is_a_picture()
    {
        using var folder = new TemporaryFolder();
        var (png, svg) = (Path.Combine(folder.Path, "rate.png"), Path.Combine(folder.Path, "rate.SVG"));
        var run = await QkdCommand.RunAsync($"keyrate --bound lim-xu-pan-ekert,tomamichel --sweep-km 0:200:10 --plot {png}");
        run.ExitCode.ShouldBe(0, run.Error);
        run.Output.ShouldContain("rate.png");
        var picture = await File.ReadAllBytesAsync(png, TestContext.Current.CancellationToken);
        picture.Take(8).ShouldBe([0x89, (byte)'P', (byte)'N', (byte)'G', 0x0d, 0x0a, 0x1a, 0x0a]);
        picture.Length.ShouldBeGreaterThan(20_000);

        // Where there is no key at all there is still a picture.
        (await QkdCommand.RunAsync($"keyrate --bound tomamichel --sweep-km 900 --plot {svg}")).ExitCode.ShouldBe(0);
        XDocument.Load(svg).Root!.Name.LocalName.ShouldBe("svg");
    }

    private sealed class TemporaryFolder : IDisposable
    {
        public string Path { get; } = Directory.CreateTempSubdirectory("qkd-keyrate-").FullName;

        public void Dispose() => Directory.Delete(Path, recursive: true);
    }
}

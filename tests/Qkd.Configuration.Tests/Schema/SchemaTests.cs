using System.Text.Json.Nodes;
using Qkd.Configuration.Tests.Support;
using Shouldly;

namespace Qkd.Configuration.Tests.Schema;

public sealed class SchemaTests
{
    private const string WriteVariable = "QKD_WRITE_SCHEMA";

    private static readonly string SchemaFile = SourceTree.Config("qkd.schema.json");

    /// <summary>Path of a setting in bench.json, what is put there, and where the schema then complains.</summary>
    public static TheoryData<string, string, string> Broken => new()
    {
        { "Bnech", "{}", "Bnech" },
        { "Bench:Emulaton", "{}", "Bench:Emulaton" },
        { "Bench:Alice:Roles:Laser", "\"transmitter\"", "Bench:Alice:Roles:Laser" },
        { "Bench:Bob:Devices:tagger:Adress", "\"sim:tagger\"", "Bench:Bob:Devices:tagger:Adress" },
        { "Bench:Bob:Receiver:Attestations:ReceiverModel:When", "\"2026-11-24\"", "Bench:Bob:Receiver:Attestations:ReceiverModel:When" },
        { "Bench:Emulation:Faults", """[{ "Instrument": "tagger", "Falt": "Silent" }]""", "Bench:Emulation:Faults:0:Falt" },
        { "Bench:Emulation:Transmitter", """{ "SlotPicoseconds": 10000 }""", "Bench:Emulation:Transmitter:SlotPicoseconds" },
        { "Bench:DataFolder", "7", "Bench:DataFolder" },
        { "Bench:Protocol:QberLimit", "\"abc\"", "Bench:Protocol:QberLimit" },
        { "Bench:Protocol:FrameSlots", "1e6", "Bench:Protocol:FrameSlots" },
        { "Bench:Protocol:Intensities", "0.45", "Bench:Protocol:Intensities" },
        { "Bench:Protocol:Intensities", """[0.45, "abc", 0.001]""", "Bench:Protocol:Intensities:1" },
        { "Bench:Bob:Receiver:Channels", "[1, 2.5, 3, 4]", "Bench:Bob:Receiver:Channels:1" },
        { "Bench:Bob:Polarization:Tracking", "\"yes\"", "Bench:Bob:Polarization:Tracking" },
        { "Bench:Emulation:Clock", "\"Slow\"", "Bench:Emulation:Clock" },
        { "Bench:Emulation:Seed", "-1", "Bench:Emulation:Seed" },
        { "Bench:Alice:Link", "null", "Bench:Alice:Link" },
        { "Bench:Alice:Devices", "[]", "Bench:Alice:Devices" },
    };

    [Fact]
    public void The_schema_is_that_of_the_settings()
    {
        var current = SchemaGenerator.Text();
        if (Environment.GetEnvironmentVariable(WriteVariable) == "1")
        {
            File.WriteAllText(SchemaFile, current);
        }

        // Not ShouldBe: it would print both of them.
        (File.Exists(SchemaFile) && File.ReadAllText(SchemaFile) == current)
            .ShouldBeTrue($"config/qkd.schema.json is out of date; run this test with {WriteVariable}=1 in the environment to write it");
    }

    [Theory]
    [InlineData("bench.json")]
    [InlineData("alice.json")]
    [InlineData("bob.json")]
    public void The_configurations_shipped_follow_the_schema_that_they_name(string file)
    {
        var document = Read(file);
        Path.GetFullPath(document["$schema"]!.GetValue<string>(), Path.GetDirectoryName(SchemaFile)!).ShouldBe(SchemaFile);
        Problems(document).ShouldBeEmpty();
    }

    [Theory]
    [MemberData(nameof(Broken))]
    public void What_is_not_a_setting_or_of_another_kind_departs_from_the_schema(string setting, string value, string path)
    {
        var document = Read("bench.json");
        Put(document, setting, JsonNode.Parse(value));
        Problems(document).ShouldHaveSingleItem().Path.ShouldBe(path);
    }

    [Fact]
    public void A_file_without_the_section_departs_from_the_schema() =>
        Problems(new JsonObject()).ShouldBe([("", "lacks Bench")]);

    [Fact]
    public void Options_of_drivers_are_free()
    {
        var document = Read("bench.json");
        Put(document, "Bench:Bob:Devices:detectors:Options", JsonNode.Parse("""{ "SerialNumber": 7, "Endpoints": { "Counts": "TCPIP0::10.0.0.5::12345::SOCKET" } }"""));
        Problems(document).ShouldBeEmpty();
    }

    [Fact]
    public void Every_setting_is_described()
    {
        var definitions = JsonNode.Parse(SchemaGenerator.Text())!["$defs"]!.AsObject();
        definitions.Count.ShouldBeGreaterThan(20);
        foreach (var (name, definition) in definitions)
        {
            foreach (var (setting, schema) in definition!["properties"]!.AsObject())
            {
                schema!["description"]!.GetValue<string>().ShouldNotBeNullOrWhiteSpace($"{name}.{setting}");
            }
        }
    }

    private static IReadOnlyList<(string Path, string Problem)> Problems(JsonNode document) => new SchemaValidator(SchemaGenerator.Text()).Problems(document);

    private static JsonObject Read(string file) => JsonNode.Parse(File.ReadAllText(SourceTree.Config(file)))!.AsObject();

    private static void Put(JsonObject document, string path, JsonNode? value)
    {
        var steps = path.Split(':');
        var section = steps[..^1].Aggregate(document, (parent, step) => parent[step]!.AsObject());
        section[steps[^1]] = value;
    }
}

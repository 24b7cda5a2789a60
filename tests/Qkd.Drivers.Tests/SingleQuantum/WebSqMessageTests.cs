using System.Text;
using Qkd.Devices;
using Qkd.Drivers.SingleQuantum.WebSq;
using Shouldly;

namespace Qkd.Drivers.Tests.SingleQuantum;

public sealed class WebSqMessageTests
{
    [Fact]
    public void Reads_messages_that_are_joined()
    {
        var messages = Read("""{"label":"A","value":1}{"label":"B","value":{"value":[1,2.5],"units":"uA"}} {"label":"C","value":"}{"}""");
        messages.ShouldAllBe(read => read.Nonsense == null);
        messages.Select(read => read.Message!.Label).ShouldBe(["A", "B", "C"]);
        messages[0].Message!.Properties.ShouldBeNull();
        messages[1].Message!.Properties.ShouldNotBeNull();
        messages[1].Message!.TryGetNumbers(out var numbers).ShouldBeTrue();
        numbers.ShouldBe([1, 2.5]);
        messages[2].Message!.Text.ShouldBe("}{");
    }

    [Theory]
    [InlineData("""{"label":"BiasCurrent","value":[1,""")]
    [InlineData("""{"label":"BiasCurrent","value":{"value":[1,2]}""")]
    [InlineData("\u0001\u00ff garbage } {")]
    [InlineData("""{"value":[1]}""")]
    [InlineData("""[1,2]""")]
    public void What_follows_nonsense_is_not_lost(string nonsense)
    {
        var read = Read(nonsense + """{"label":"A","value":1}""");
        read.Count.ShouldBe(2);
        read[0].Message.ShouldBeNull();
        read[0].Nonsense.ShouldNotBeNullOrEmpty();
        read[1].Message!.Label.ShouldBe("A");
    }

    [Theory]
    [InlineData("")]
    [InlineData(" \r\n")]
    public void Nothing_is_nothing(string text) => Read(text).ShouldBeEmpty();

    [Theory]
    [InlineData("5", new[] { 5.0 })]
    [InlineData("[]", new double[0])]
    [InlineData("[1,-2e1]", new[] { 1.0, -20 })]
    [InlineData("[1,null]", null)]
    [InlineData("\"1\"", null)]
    [InlineData("true", null)]
    [InlineData("[[1]]", null)]
    [InlineData("[1e999]", null)]
    public void Numbers_are_a_number_or_a_list_of_them(string value, double[]? expected)
    {
        var message = Read($$"""{"label":"A","value":{{value}}}""").Single().Message!;
        message.TryGetNumbers(out var numbers).ShouldBe(expected is not null);
        if (expected is not null)
        {
            numbers.ShouldBe(expected);
        }
    }

    [Theory]
    [InlineData("true", true, true)]
    [InlineData("false", true, false)]
    [InlineData("1", true, true)]
    [InlineData("0", true, false)]
    [InlineData("\"true\"", false, false)]
    [InlineData("[true]", false, false)]
    public void A_flag_is_true_or_false_or_a_number(string value, bool isFlag, bool flag)
    {
        var message = Read($$"""{"label":"A","value":{{value}}}""").Single().Message!;
        (message.TryGetFlag(out var told), told).ShouldBe((isFlag, flag));
    }

    [Theory]
    [InlineData("[0,50]", 0.0, 50.0)]
    [InlineData("[50,0]", null, null)]
    [InlineData("[1]", null, null)]
    [InlineData("[\"0\",\"50\"]", null, null)]
    [InlineData("{}", null, null)]
    public void Bounds_are_a_pair_of_numbers_or_none(string bounds, double? low, double? high)
    {
        var message = Read($$$"""{"label":"A","value":{"value":1,"bounds":{{{bounds}}}}}""").Single().Message!;
        message.Bounds.ShouldBe(low is null ? null : new SettingRange(low.Value, high!.Value));
    }

    [Theory]
    [InlineData("Error", true)]
    [InlineData("BiasError", true)]
    [InlineData("BiasCurrent", false)]
    public void An_error_is_told_by_its_label(string label, bool isError) =>
        Read($$"""{"label":"{{label}}","value":"x"}""").Single().Message!.IsError.ShouldBe(isError);

    [Theory]
    [InlineData("1.25,10,20", new[] { 10L, 20 })]
    [InlineData("1763900000.123,0,3.0", new[] { 0L, 3 })]
    [InlineData("1, 10, 20 ", new[] { 10L, 20 })]
    [InlineData("1.25,10", null)]
    [InlineData("1.25,10,20,30", null)]
    [InlineData("1.25,10,x", null)]
    [InlineData("1.25,10,-1", null)]
    [InlineData("1.25,10,1.5", null)]
    [InlineData("1.25,10,NaN", null)]
    [InlineData("x,10,20", null)]
    [InlineData("1.25,,20", null)]
    public void A_record_of_counts_is_a_time_and_one_count_a_detector(string line, long[]? expected) =>
        WebSqCounts.TryReadCounts(line, 2).ShouldBe(expected);

    private static List<(WebSqMessage? Message, string? Nonsense)> Read(string text) =>
        [.. WebSqMessage.ReadAll(Encoding.Latin1.GetBytes(text))];
}
